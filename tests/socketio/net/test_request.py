"""Heads of requests that were made to take long."""

from __future__ import annotations

import pytest

from gbs_actor.socketio.net.request import BadRequest, Request, head_length, parse_request
from tests.ending import ends_soon

LENGTH = 1_000_000
"""Far beyond any limit of a head, so that more than linear time shows."""


def parsed(fields: bytes) -> Request | None:
    try:
        return parse_request(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
    except BadRequest:
        return None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b" " * LENGTH + b"\x00", None),
        (b"\t " * (LENGTH // 2) + b"\x00", None),
        (b" " * LENGTH + b"y", "y"),
        (b"x" + b" " * LENGTH + b"y", "x" + " " * LENGTH + "y"),
        (b"x y " * (LENGTH // 4), ("x y " * (LENGTH // 4)).rstrip()),
        (b" " * LENGTH, ""),
    ],
)
def test_white_space_costs_no_more_than_reading_it(value: bytes, expected: str | None) -> None:
    with ends_soon():
        request = parsed(b"a:" + value + b"\r\n")
    assert (None if request is None else request.header("a")) == expected


def test_many_fields_cost_no_more_than_reading_them() -> None:
    with ends_soon():
        request = parsed(b"a: \t b\r\n" * 100_000)
    assert request is not None
    assert len(request.fields) == 100_001


@pytest.mark.parametrize("size", range(1, 8))
@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n", b"\n\r\n"])
def test_an_end_is_found_wherever_the_pieces_break(end: bytes, size: int) -> None:
    whole = b"GET / HTTP/1.1\r\nHost: x" + end
    data = bytearray()
    for start in range(0, len(whole), size):
        searched = len(data)
        data += whole[start : start + size]
        found = head_length(data, searched)
        assert found == (len(whole) if len(data) == len(whole) else None)
