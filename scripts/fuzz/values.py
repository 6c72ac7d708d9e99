"""JSON values, and texts that are nearly JSON."""

from __future__ import annotations

import struct
from typing import Any

from scripts.fuzz.choices import Choices

_NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 9, 10_000, 2**31, 2**53, -(2**53), 2**63 - 1, 2**63, -(2**63), 2**64 - 1,
    0.5, -0.0, 1e300, 5e-324, 1.5e10,
)  # fmt: skip
_DEPTH = 4
_CUTS = (1, 2, 8)

_SCRAPS = (
    "[", "]", "{", "}", '"', ",", ":", "\\", "\\u", "\\ud800", "\\ud83d\\ude00", "null", "true",
    "NaN", "-", "1e", "1e999", "0", "01", "9" * 25, "/", "/custom", " ", "\t", "\x00", "\x1e",
    "한", '{"_placeholder":true,"num":0}', "Infinity", "b", "=", "é", "\\q", "\\u0063onnect",
    '"num":true', '"_placeholder":true', "\ud800", '["message"', "connect", '"connect"',
)  # fmt: skip


def value(choices: Choices, *, binary: bool = False, depth: int = _DEPTH) -> Any:
    """Return something that JSON can say, or bytes where ``binary`` allows them."""
    kind = choices.below(10)
    if kind >= 8 and depth:
        return _container(choices, kind == 8, binary=binary, depth=depth - 1)
    if kind >= 6 and binary:
        return choices.take(20)
    match kind:
        case 1 | 6:
            return choices.text()
        case 2:
            return choices.pick(_NUMBERS)
        case 3:
            (number,) = struct.unpack("<d", choices.take(8).ljust(8, b"\0"))
            return number if number - number == 0 else 0  # neither infinite nor none at all
        case 4:
            return choices.flip()
        case 5:
            return choices.below(65_536)
        case _:
            return None


def _container(choices: Choices, as_list: bool, *, binary: bool, depth: int) -> Any:
    items = []
    while choices.more():
        items.append(value(choices, binary=binary, depth=depth))
    return items if as_list else {choices.text(2): item for item in items}


def scraps(choices: Choices, limit: int = 8, words: tuple[str, ...] = _SCRAPS) -> str:
    """Return words in any order, some of them many times."""
    parts = []
    for _ in range(choices.below(limit + 1)):
        word = choices.pick(words)
        if choices.flip(32):
            word *= choices.pick((3, 30, 300, 3_000))
        parts.append(word)
    return "".join(parts)


def spoil(choices: Choices, text: str, words: tuple[str, ...] = _SCRAPS) -> str:
    """Return a text with a few places cut out, doubled, or overwritten."""
    while choices.more():
        at = choices.below(len(text) + 1)
        end = at + choices.pick(_CUTS)
        match choices.below(4):
            case 0:
                text = text[:at] + text[end:]
            case 1:
                text = text[:end] + text[at:]
            case 2:
                text = text[:at] + choices.pick(words) + text[at:]
            case _:
                text = text[:at] + chr(choices.below(128)) + text[at + 1 :]
    return text
