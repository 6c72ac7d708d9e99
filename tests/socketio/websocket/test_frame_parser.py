"""Frames of clients: as RFC 6455 says, and as ``websockets`` reads them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gbs_actor.socketio.websocket.close_code import CloseCode, ProtocolViolation
from gbs_actor.socketio.websocket.frame_parser import Close, FrameParser, Ping, Received, Signal
from tests.socketio.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame
from tests.socketio.websocket.frame_oracle import MAX_SIZE, agree


def read(data: bytes, max_size: int = MAX_SIZE) -> list[Received]:
    """Return all that a parser makes of some bytes."""
    parser = FrameParser(max_size)
    parser.feed(data)
    received = []
    while (each := parser.next()) is not None:
        received.append(each)
    return received


def refused(data: bytes, max_size: int = MAX_SIZE) -> int:
    """Return the close code that some bytes are refused with."""
    with pytest.raises(ProtocolViolation) as violation:
        read(data, max_size)
    return violation.value.code


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
def test_messages_of_all_sizes_are_read(size: int) -> None:
    data = frame(TEXT, b"x" * size) + frame(BINARY, b"y" * size)
    assert read(data, size or 1) == ["x" * size, b"y" * size]


def test_control_frames_come_between_the_fragments_of_a_message() -> None:
    data = (
        frame(TEXT, "é".encode()[:1], fin=False)
        + frame(PING, b"p")
        + frame(CONTINUATION, b"", fin=False)
        + frame(PONG, b"")
        + frame(CONTINUATION, "é".encode()[1:])
        + frame(CLOSE, b"\x03\xe8bye")
    )
    assert read(data) == [
        Signal.FRAGMENT,
        Ping(b"p"),
        Signal.FRAGMENT,
        Signal.PONG,
        "é",
        Close(b"\x03\xe8bye"),
    ]


def test_a_close_frame_may_interrupt_a_message() -> None:
    data = frame(TEXT, b"4", fin=False) + frame(CLOSE, b"")
    assert read(data) == [Signal.FRAGMENT, Close(b"")]


def test_a_control_frame_does_not_count_against_the_message_that_it_interrupts() -> None:
    data = frame(BINARY, b"x" * 990, fin=False) + frame(PING, b"p" * 20)
    assert read(data) == [Signal.FRAGMENT, Ping(b"p" * 20)]


@pytest.mark.parametrize(
    "head", [frame(PING, b"x" * 126), frame(TEXT, b"x" * 1_001), frame(TEXT, b"x", rsv=4)]
)
def test_a_frame_is_refused_when_its_head_has_come(head: bytes) -> None:
    assert refused(head[:10]) in {CloseCode.PROTOCOL_ERROR, CloseCode.TOO_LARGE}


@pytest.mark.parametrize(
    "data",
    [
        *(frame(opcode, b"") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
        *(frame(opcode, b"", rsv=rsv) for opcode in (TEXT, PING) for rsv in (1, 2, 4)),
        frame(TEXT, b"x", masked=False),
        frame(PING, b"", fin=False),
        frame(CONTINUATION, b""),
        frame(TEXT, b"", fin=False) + frame(BINARY, b""),
        *(frame(CLOSE, code.to_bytes(2, "big")) for code in (0, 999, 1005, 1006, 1015, 5000)),
        frame(CLOSE, b"\x03"),
    ],
)
def test_what_breaks_the_protocol_is_refused(data: bytes) -> None:
    assert refused(data) == CloseCode.PROTOCOL_ERROR


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, b"\xff"),
        frame(TEXT, b"\xed\xa0\x80"),
        frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"\xff"),
        frame(CLOSE, b"\x03\xe8\xff"),
    ],
)
def test_text_that_is_not_utf8_is_refused(data: bytes) -> None:
    assert refused(data) == CloseCode.INVALID_DATA


def test_fragments_that_are_too_large_together_are_refused() -> None:
    parts = frame(BINARY, b"x" * 600, fin=False) + frame(CONTINUATION, b"x" * 600)
    assert refused(parts) == CloseCode.TOO_LARGE


def test_a_length_of_64_bits_needs_no_memory() -> None:
    assert refused(b"\x82\xff" + b"\xff" * 8) == CloseCode.TOO_LARGE


def test_reading_can_stop_behind_any_frame() -> None:
    parser = FrameParser(MAX_SIZE)
    parser.feed(frame(TEXT, b"1") + frame(TEXT, b"2"))
    assert parser.next() == "1"
    parser.feed(frame(TEXT, b"3"))
    assert [*iter(parser.next, None)] == ["2", "3"]


def test_a_message_that_comes_byte_by_byte_is_not_copied_for_every_byte() -> None:
    parser = FrameParser(MAX_SIZE)
    first, *others, last = (bytes((byte,)) for byte in frame(TEXT, b"x" * MAX_SIZE))
    parser.feed(first)
    parser.feed(others[0])
    buffer = parser._data
    for byte in others[1:]:
        parser.feed(byte)
        assert parser.next() is None
    assert parser._data is buffer
    parser.feed(last)
    assert parser.next() == "x" * MAX_SIZE


def test_nothing_is_kept_of_what_was_read() -> None:
    parser = FrameParser(MAX_SIZE)
    data = frame(TEXT, b"x" * 500)
    parser.feed(data)
    parser.next()
    assert parser.next() is None
    assert not parser._data


# Against another implementation

_payloads = (
    st.binary(max_size=20)
    | st.text(max_size=10).map(str.encode)
    | st.sampled_from([b"x" * size for size in (124, 125, 126, 127, 499, 500, 999, 1_000, 1_001)])
    | st.sampled_from([b"\x03\xe8", b"\x03\xe8bye", b"\x03", b"\x03\xed", b"\x13\x88", b"\xed\xa0"])
)
_good = st.builds(frame, st.sampled_from([TEXT, BINARY, PING, PONG]), _payloads)
_any = st.builds(
    frame,
    st.sampled_from([CONTINUATION, CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG, 3, 11]),
    _payloads,
    fin=st.booleans(),
    rsv=st.sampled_from([0, 0, 0, 0, 1, 2, 4]),
    masked=st.sampled_from([True, True, True, True, False]),
    length_bytes=st.sampled_from([0, 0, 2, 8]),
)
_likely = st.builds(
    frame,
    st.sampled_from([CONTINUATION, CONTINUATION, TEXT, BINARY, PING, PONG, CLOSE]),
    _payloads,
    fin=st.booleans(),
)


@given(
    frames=st.lists(_good | _likely | _any | st.binary(max_size=16), max_size=12),
    cuts=st.lists(st.integers(0, 2_000), max_size=12),
)
def test_it_reads_what_another_implementation_reads(frames: list[bytes], cuts: list[int]) -> None:
    data = b"".join(frames)
    ends = sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
    starts = [0, *ends]
    agree([data[start:end] for start, end in zip(starts, ends, strict=False)])


_whole = st.builds(
    frame, st.just(TEXT), _payloads, length_bytes=st.sampled_from([0, 0, 0, 2, 8])
) | st.builds(frame, st.just(TEXT), st.text(max_size=300).map(str.encode))


_masks = st.binary(min_size=4, max_size=4).map(lambda key: bytes(byte & 0x7F for byte in key))
"""Of ASCII: what is misread as text then is text more often."""
_cut = st.builds(
    lambda whole, size: whole[:size],
    st.builds(
        frame,
        st.just(TEXT),
        st.sampled_from([b"x" * size for size in (119, 127, 133, 70_000)]),
        length_bytes=st.sampled_from([0, 2, 8]),
        mask_key=_masks,
    ),
    st.integers(120, 150),
)


_before = st.sampled_from(
    [b"", b"", b"\x81", frame(TEXT, b"a", fin=False), frame(TEXT, b"a"), frame(PING, b"")]
)


@example(before=b"", data=frame(TEXT, b"x" * 70_000, mask_key=b"mask")[:133])
@given(before=_before, data=_whole | _good | _any | _cut)
def test_a_whole_text_is_what_would_be_read_next_and_all_there_is(
    before: bytes, data: bytes
) -> None:
    shortcut, parser = FrameParser(MAX_SIZE), FrameParser(MAX_SIZE)
    for each in (shortcut, parser):
        each.feed(before)
        try:
            while each.next() is not None:
                pass
        except ProtocolViolation:
            return
    text = shortcut.whole_text(data)
    if text is not None:
        parser.feed(data)
        assert (parser.next(), parser.pending) == (text, False)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 1_000])
def test_a_frame_that_is_all_there_is_needs_no_second_look(size: int) -> None:
    parser = FrameParser(MAX_SIZE)
    assert parser.whole_text(frame(TEXT, b"x" * size)) == "x" * size
    assert parser.whole_text(frame(TEXT, b"x" * size)[:-1]) is None
    assert parser.whole_text(frame(TEXT, b"x" * size) + b"\x81") is None
    assert FrameParser(size - 1).whole_text(frame(TEXT, b"x" * size)) is None
    assert parser.next() is None
