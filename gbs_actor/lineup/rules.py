"""What a value must be like before a line-up accepts it."""

from __future__ import annotations

import re
from typing import Final

from gbs_actor.lineup.records import Memo
from gbs_actor.lineup.text import comparable, is_blank, trimmed

MEMO_LENGTH: Final = 2_000
"""The longest memo, in code points, after trimming."""

LAST_NUMBER: Final = 9_999
"""The highest group number; the lowest is 1."""

LAST_LINEUP_NUMBER: Final = 99_999
"""The highest line-up number; the lowest is 1."""

GROUP_MEMO_LENGTH: Final = 500
"""The longest memo of a group, in code points, after trimming."""

CURRENT_LEADER_LENGTH: Final = 100
"""The longest name of a current leader, in code points, after trimming."""

MAX_ASSIGNMENTS: Final = 2_000
"""How many people one edit may change."""

MAX_NEW_GROUPS: Final = 1_000
"""How many groups may be created at once."""

LAST_ID: Final = 2**63 - 1
"""The highest id, that of PostgreSQL's ``int8``; the lowest is 1."""

_DIGITS = re.compile(r"[0-9]{1,19}")
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")


class InvalidValue(ValueError):
    """A value breaks a rule of the line-up.

    ``field`` is the value's name on the wire, ``message`` one clear sentence for the
    person who sent it.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


def check_id(field: str, value: object) -> int:
    """Return an id given as an integer or as its digits in a string.

    :param field: the id's name on the wire, for the message.
    :raises InvalidValue: anything else, or outside 1 to 2**63 - 1.
    """
    # More than 19 digits cannot be an id; so long strings never reach int(), which is
    # quadratic.
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidValue(field, "an id is an integer")
    if not 1 <= value <= LAST_ID:
        raise InvalidValue(field, f"an id is between 1 and {LAST_ID}")
    return value


def check_number(value: object) -> int | None:
    """Return a group number, or ``None`` for "in no group".

    :raises InvalidValue: not an integer (a bool is none), or outside 1 to 9999.
    """
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidValue("gbsNumber", "a group number is an integer or null")
    if not 1 <= value <= LAST_NUMBER:
        raise InvalidValue("gbsNumber", f"a group number is between 1 and {LAST_NUMBER}")
    return value


def check_group_number(value: object) -> int:
    """Return the number of a group.

    :raises InvalidValue: not an integer (a bool is none), or outside 1 to 9999.
    """
    number = check_number(value)
    if number is None:
        raise InvalidValue("gbsNumber", "a group has a number")
    return number


def check_lineup_number(value: object) -> int | None:
    """Return a line-up number; ``None``: none.

    :raises InvalidValue: not an integer (a bool is none), or outside 1 to 99999.
    """
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidValue("lineupNumber", "a line-up number is an integer or null")
    if not 1 <= value <= LAST_LINEUP_NUMBER:
        raise InvalidValue(
            "lineupNumber", f"a line-up number is between 1 and {LAST_LINEUP_NUMBER}"
        )
    return value


def clean_current_leader(name: str) -> str:
    """Return the name of a current leader as it is stored: trimmed; "" for none.

    :raises InvalidValue: it is too long, or has characters that cannot be stored.
    """
    return _clean("currentLeader", trimmed(name), CURRENT_LEADER_LENGTH)


def clean_group_memo(memo: str | None) -> str:
    """Return a group's memo as it is stored: trimmed; "" for none.

    :raises InvalidValue: it is too long, or has characters that cannot be stored.
    """
    text = _clean("memo", trimmed(memo or ""), GROUP_MEMO_LENGTH)
    return "" if is_blank(text) else text


def clean_color(color: str | None) -> str:
    """Return a colour as it is stored: ``#RRGGBB`` in upper case, or "" for none.

    :param color: ``#RRGGBB``; "transparent", "" and ``None`` all mean none.
    :raises InvalidValue: anything else.
    """
    if not color or color == "transparent":
        return ""
    if not _COLOR.fullmatch(color):
        raise InvalidValue("color", 'a colour is "#RRGGBB" or "transparent"')
    return color.upper()


def clean_memo(text: str, color: str | None) -> tuple[str, str]:
    """Return a memo's text and colour as they are stored.

    Cleaning is idempotent: what it returned passes unchanged.

    :param text: trimmed here; then at most 2,000 code points, without U+0000 (which
        PostgreSQL cannot store) and lone surrogates (which no UTF-8 can carry). One of
        invisible characters only is as good as empty.
    :param color: see :func:`clean_color`.
    :raises InvalidValue: the text or the colour breaks a rule, or both are empty.
    """
    color = clean_color(color)
    text = _clean("memo", trimmed(text), MEMO_LENGTH)
    if is_blank(text):
        text = ""
    if not text and not color:
        raise InvalidValue("memo", "a memo without a colour has a text")
    return text, color


def _clean(field: str, text: str, length: int) -> str:
    """Return a text, unless it is too long or cannot be stored.

    :raises InvalidValue: it is.
    """
    what = "a memo" if field == "memo" else "a name"
    if len(text) > length:
        raise InvalidValue(field, f"{what} has at most {length:,} characters")
    if "\x00" in text:
        raise InvalidValue(field, f"{what} has no U+0000")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidValue(field, f"{what} has no lone surrogates") from error
    return text


def is_same_memo(memo: Memo, text: str, color: str) -> bool:
    """Whether a memo reads so already, in whatever normalization form of Unicode."""
    return (comparable(memo.text), memo.color) == (comparable(text), color)
