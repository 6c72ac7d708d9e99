"""JSON text with half characters, as JavaScript's strings may hold."""

from __future__ import annotations

import re
from typing import Final

_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def without_surrogates(json: str) -> str:
    """Replace surrogates, and escapes for them, by what is as long and stands for itself.

    JSON's grammar allows lone surrogates (RFC 8259 §8.2), and decoders to refuse them. What
    can be decoded after this, and could not before, was JSON. Pairs are replaced as well.
    """
    return _ESCAPE.sub(r"\\ufffd", json.encode(errors="replace").decode())
