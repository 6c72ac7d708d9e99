"""Decisions taken from bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scripts.fuzz.choices import Choices


def test_the_same_bytes_make_the_same_decisions() -> None:
    def decide(data: bytes) -> list[object]:
        choices = Choices(data)
        return [choices.below(10), choices.text(), choices.take(3), choices.flip(), choices.rest]

    assert decide(b"any bytes will do") == decide(b"any bytes will do")


def test_where_the_bytes_have_run_out_the_first_alternative_is_taken() -> None:
    choices = Choices(b"")
    assert not choices.left
    assert choices.below(1_000_000) == 0
    assert choices.pick("abc") == "a"
    assert (choices.flip(), choices.more(), choices.take(9), choices.text()) == (
        False,
        False,
        b"",
        "",
    )


@given(st.binary(max_size=8), st.integers(1, 2**40))
def test_a_number_is_below_its_bound(data: bytes, bound: int) -> None:
    assert 0 <= Choices(data).below(bound) < bound


@given(st.binary(max_size=20), st.binary(max_size=40))
def test_what_is_split_is_whole_together(data: bytes, payload: bytes) -> None:
    parts = Choices(data).split(payload, 5)
    assert b"".join(parts) == payload
    assert len(parts) <= 5
    assert all(parts)
