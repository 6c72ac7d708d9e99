"""Bytes that a transport is given with a turn, and the same bytes added before it."""

from __future__ import annotations

from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.socketio.channel.channel import Channel
from gbs_actor.socketio.channel.tasks import ChannelTasks
from gbs_actor.socketio.channel.timers import Timers
from gbs_actor.socketio.channel.traffic import ReadRate, Traffic
from gbs_actor.socketio.channel.websocket_transport import Next, WebSocketTransport
from gbs_actor.socketio.channel.wire import Buffer, SocketWire
from gbs_actor.socketio.websocket.frame_parser import FrameParser
from tests.socketio.channel.simulated_plane import Talk
from tests.socketio.frames import CLOSE, PING, PONG, TEXT, frame


class _Peer:
    """A transport, and all that it has done; also its driver."""

    def __init__(self) -> None:
        self.sent = b""
        self.resumed = 0
        self.aborted = self.closed = 0
        self.wire = SocketWire(self.send)
        self.traffic = Traffic()
        self.timers = Timers()
        self.transport = WebSocketTransport(
            self, FrameParser(200), self.traffic, ReadRate(1, 2), self.timers
        )
        self.talk = Talk(self.transport, cast(ChannelTasks, _NoTasks()), self.take)

    def send(self, data: Buffer) -> int:
        self.sent += bytes(data)
        return len(data)

    def take(self, talk: Talk, text: str) -> None:
        """Do what the text says."""
        if text == "pause":
            talk.backlogged = True
        elif text == "leave":
            talk.leave()
        elif text == "lose":
            talk.lose("transport close")
        else:
            talk.say(text)

    def resume(self) -> None:
        self.resumed += 1

    def write_queued(self, channel: Channel) -> None:
        raise AssertionError("the wire takes all")

    async def send_eof(self) -> None:
        raise AssertionError

    def abort(self) -> None:
        self.aborted += 1

    def close(self) -> None:
        self.closed += 1

    def seen(self) -> tuple[object, ...]:
        return (
            self.talk.messages,
            self.talk.reason,
            self.sent,
            self.resumed,
            self.aborted,
            self.traffic.bytes,
            self.traffic.messages,
            len(self.timers),
        )


class _NoTasks:
    owner: object = None


_TEXTS = (*[b"a"] * 6, b"b" * 130, b"pause", b"leave", b"lose")
_texts = st.sampled_from([frame(TEXT, text) for text in _TEXTS])
_others = st.sampled_from(
    [
        frame(PING, b"p"),
        frame(PONG, b""),
        frame(CLOSE, b""),
        frame(TEXT, b"f", masked=False),
        frame(TEXT, b"c" * 201),
        frame(TEXT, b"\xff"),
        frame(TEXT, b"d", fin=False),
        frame(0, b"e"),
    ]
)
_pieces = _texts | _texts | _texts | st.lists(_texts | _others, max_size=3).map(b"".join)


@given(
    pieces=st.lists(_pieces, min_size=4, max_size=12),
    cut=st.none() | st.integers(0, 8),
    resumed=st.booleans(),
)
async def test_bytes_that_come_with_a_turn_are_handled_as_those_added_before(
    pieces: list[bytes], cut: int, resumed: bool
) -> None:
    at_once, in_steps = _Peer(), _Peer()
    for peer in (at_once, in_steps):
        peer.transport.channel = peer.talk
    for number, piece in enumerate(pieces):
        data = piece[: len(piece) - 1] if number == cut else piece
        following = at_once.transport.receive(data, number / 10)
        in_steps.transport.add(data, number / 10)
        assert following is in_steps.transport.turn(number / 10)
        assert at_once.seen() == in_steps.seen()
        if following is Next.NOTHING:
            break
        if resumed:
            for peer in (at_once, in_steps):
                peer.talk.backlogged = False
                peer.transport._in_time()
