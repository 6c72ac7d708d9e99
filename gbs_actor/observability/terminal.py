r"""Text that others wrote, on a terminal: what would control the terminal is shown instead.

Names, memos and messages of clients may hold escape sequences, which set the clipboard (OSC 52)
or clear the screen; line breaks, which forge lines; and bidirectional controls, which reorder
what stands beside them. Each is shown as its escape sequence of JSON, such as ``\u001b``.
"""

from __future__ import annotations

import re

_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}

_UNSAFE = re.compile(
    "["
    "\x00-\x1f"  # C0
    "\x7f-\x9f"  # DEL and C1
    "\u061c\u200e\u200f"  # marks of direction
    "\u2028\u2029"  # line and paragraph separator
    "\u202a-\u202e"  # embeddings and overrides of direction
    "\u2066-\u206f"  # isolates, and the deprecated format characters
    "\ud800-\udfff"  # halves of surrogate pairs: no output can encode them
    "]"
)


def visible(text: str) -> str:
    """Return one line of text that a terminal shows and does nothing else with.

    Applied twice it changes nothing more. Applied to a JSON document on one line, it leaves
    a JSON document with the same value.
    """
    return _UNSAFE.sub(_escaped, text)


def visible_lines(text: str) -> str:
    """Return several lines, each as :func:`visible`: for text whose line breaks are ours."""
    return "\n".join(map(visible, text.split("\n")))


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    return _SHORT.get(char) or f"\\u{ord(char):04x}"
