"""Text that people type: what is trimmed, what counts as empty, what counts as equal.

It is stored as it was typed, apart from trimming.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

WHITE_SPACE: Final = (
    "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What a browser's ``trim()`` removes (ECMA-262, *WhiteSpace* and *LineTerminator*).

Python's ``str.strip`` differs: it removes U+001C to U+001F and U+0085, and leaves U+FEFF.
"""

INVISIBLE: Final = (
    "\x00-\x1f\x7f-\x9f"  # controls
    "\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufff0-\ufffb\xad"
    "\u115f\u1160\u3164\uffa0"  # fillers of Hangul
    "\u17b4\u17b5\u2800"  # two vowels of Khmer, the blank of Braille
    "\ufe00-\ufe0f"  # variation selectors
)
"""What shows nothing, besides white space, as ranges of a regular expression.

The code points below U+10000 that Unicode calls default-ignorable, the controls, and those
that are blank by design.
"""

_SHOWS_NOTHING: Final = re.compile(
    f"[{INVISIBLE}{WHITE_SPACE}\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]*"
)


def trimmed(text: str) -> str:
    """Return a text without the white space around it."""
    return text.strip(WHITE_SPACE)


def is_blank(text: str) -> bool:
    """Return whether a text shows nothing: it is empty, or only of invisible characters."""
    return _SHOWS_NOTHING.fullmatch(text) is not None


def comparable(text: str) -> str:
    """Return the form in which two texts are compared and sorted: NFC (UAX #15).

    The same Korean name typed on macOS and on Windows can be different code points.
    """
    return unicodedata.normalize("NFC", text)
