"""What a case decides: drawn from Hypothesis one by one, so that every decision shrinks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")

_WORDS: Final = (
    "a", "0", "1", "한글", "é", "\x00", "\x1e", "\n", '"', "\\", "/", ",", "-", "_placeholder",
    "num", "\U0001f600", "b", "b64=", "connect", "\x7f", "\u2028", "null", "ﬀ", "९",
)  # fmt: skip
_NUMBERS: Final = (
    0, 1, -1, 10_000, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63), 2**64 - 1, 0.5, -0.0, 1e300, 5e-324,
)  # fmt: skip

TEXT: Final = st.lists(st.sampled_from(_WORDS) | st.text(max_size=3), max_size=3).map("".join)
"""Short texts, mostly of what means something to somebody."""

_SCALARS: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(_NUMBERS),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
)


def _nested(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars,
        lambda items: (
            st.lists(items, max_size=4)
            | st.dictionaries(TEXT | st.just("_placeholder"), items, max_size=3)
        ),
        max_leaves=6,
    )


JSON: Final = _nested(_SCALARS)
"""Values that JSON can express."""
JSON_AND_BYTES: Final = _nested(_SCALARS | st.binary(max_size=20))
"""The same with binary values among them."""

SCRAPS: Final = (
    "[", "]", "{", "}", '"', ",", ":", "\\", "\\u", "\\ud800", "\\ud83d\\ude00", "null", "true",
    "NaN", "-", "1e", "1e999", "0", "01", "9" * 25, "/", "/custom", " ", "\t", "\x00", "\x1e",
    "한", '{"_placeholder":true,"num":0}', "Infinity", "b", "=", "\\q", "\\u0063onnect",
    '"num":true', "\ud800", '["message"', '"connect"',
)  # fmt: skip
"""Pieces of packets and payloads, whole and broken."""


class Choices:
    """The decisions of one case.

    Each is drawn so that it shrinks to the first, or smallest, of its alternatives.
    """

    def __init__(self, data: st.DataObject) -> None:
        self.draw = data.draw

    def below(self, bound: int) -> int:
        """Return a number from 0 to ``bound - 1``."""
        return self.draw(st.integers(0, bound - 1))

    def pick(self, options: Sequence[T]) -> T:
        """Return one of several."""
        return self.draw(st.sampled_from(options))

    def chance(self, one_in: int = 2) -> bool:
        """Return whether something happens that happens once in so many times."""
        return self.below(one_in) == one_in - 1

    def times(self, most: int) -> range:
        """Return a range of any length up to ``most``."""
        return range(self.below(most + 1))

    def text(self) -> str:
        """Return a short text."""
        return self.draw(TEXT)

    def scraps(self, most: int = 8) -> str:
        """Return scraps in any order, some repeated many times."""
        return "".join(
            self.pick(SCRAPS) * (self.pick((3, 300, 3_000)) if self.chance(32) else 1)
            for _ in self.times(most)
        )

    def spoil(self, text: str, scraps: Sequence[str] = SCRAPS) -> str:
        """Return a text with a few places cut out, doubled, overwritten, or filled in."""
        for _ in self.times(3):
            at = self.below(len(text) + 1)
            end = at + self.pick((1, 2, 8))
            match self.below(4):
                case 0:
                    text = text[:at] + text[end:]
                case 1:
                    text = text[:end] + text[at:]
                case 2:
                    text = text[:at] + self.pick(scraps) + text[at:]
                case _:
                    text = text[:at] + chr(self.below(128)) + text[at + 1 :]
        return text

    def spoil_bytes(self, data: bytes) -> bytes:
        """Return some bytes with up to three in one place replaced by others."""
        at = self.below(len(data) + 1)
        return data[:at] + self.bytes(3) + data[at + self.below(4) :]

    def split(self, data: bytes, most: int) -> list[bytes]:
        """Cut bytes into up to so many pieces, none of them empty."""
        cuts = sorted({self.below(len(data) + 1) for _ in self.times(most - 1)})
        pieces = [data[a:b] for a, b in itertools.pairwise((0, *cuts, len(data)))]
        return [piece for piece in pieces if piece]

    def bytes(self, most: int) -> bytes:
        """Return up to so many bytes."""
        return self.draw(st.binary(max_size=most))
