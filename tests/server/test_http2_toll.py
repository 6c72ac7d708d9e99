from __future__ import annotations

import pytest

from gbs_actor.server.hypercorn.http2.toll import BURST, EARNED, FIELDS, RATE, Toll

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PING = b"\0\0\x08\x06\0\0\0\0\0" + bytes(8)
RESET = b"\0\0\x04\x03\0\0\0\0\x01" + bytes(4)
COST_OF_RESET = 5


def opened() -> Toll:
    toll = Toll(0.0)
    assert toll.pay(PREFACE, 0.0)
    return toll


def data(size: int) -> bytes:
    return size.to_bytes(3, "big") + b"\0\0\0\0\0\x01" + bytes(size)


def test_frames_may_be_paid_up_to_the_burst() -> None:
    toll = opened()
    assert toll.pay(PING * int(BURST), 0.0)
    assert not toll.pay(PING, 0.0)


@pytest.mark.parametrize("size", [1, 7, 9, 10, 1_000])
def test_frames_are_found_however_they_are_cut(size: int) -> None:
    stream = PREFACE + (data(100) + RESET + data(0)) * 100
    toll = Toll(0.0)
    for start in range(0, len(stream), size):
        assert toll.pay(stream[start : start + size], 0.0)
    left = int(BURST) - 100 * (COST_OF_RESET + 1)
    assert toll.pay(PING * left, 0.0)
    assert not toll.pay(PING, 0.0)


def test_time_brings_new_money_up_to_the_burst() -> None:
    toll = opened()
    assert toll.pay(PING * int(BURST), 0.0)
    assert toll.pay(PING * int(RATE), 1.0)
    assert not toll.pay(PING, 1.0)
    assert toll.pay(PING * int(BURST), 1_000.0)
    assert not toll.pay(PING, 1_000.0)


def test_what_carries_data_costs_nothing() -> None:
    toll = opened()
    assert toll.pay(data(100) * 10 * int(BURST), 0.0)
    assert toll.pay(PING * int(BURST), 0.0)


def test_an_answer_pays_for_its_request() -> None:
    toll = opened()
    for _ in range(10):
        assert toll.pay(PING * int(BURST / 10), 0.0)
        for _ in range(int(BURST / 10 / EARNED)):
            toll.earn()
    assert toll.pay(PING * int(BURST), 0.0)
    assert not toll.pay(PING, 0.0)


def test_what_is_taken_pays_for_the_windows_that_let_it_through() -> None:
    toll = opened()
    assert toll.pay(PING * int(BURST), 0.0)
    toll.earn(102_400, dribbled=True)
    assert toll.pay(PING * 100, 0.0)
    toll.earn(1, dribbled=True)
    assert not toll.pay(PING, 0.0)


def test_many_fields_are_paid_with_the_next_frames() -> None:
    toll = opened()
    toll.take_for_fields(FIELDS)
    assert toll.pay(PING, 0.0)
    toll.take_for_fields(FIELDS + 8 * int(BURST))
    assert not toll.pay(PING, 0.0)
