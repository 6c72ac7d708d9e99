"""What blocks an import, has to be acknowledged (a warning), or is only shown (a notice)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class ProblemCode(StrEnum):
    """What a problem is."""

    NO_HEADER = "NO_HEADER"
    SEVERAL_SHEETS = "SEVERAL_SHEETS"
    MISSING_COLUMN = "MISSING_COLUMN"
    UNKNOWN_COLUMN = "UNKNOWN_COLUMN"
    """It may be one of those that are missing, under another name."""
    DOUBLED_COLUMN = "DOUBLED_COLUMN"
    UNKNOWN_SCHEDULE = "UNKNOWN_SCHEDULE"
    """A column reads like a schedule that the retreat does not have."""
    SCHEDULES_DIFFER = "SCHEDULES_DIFFER"
    NOT_REGISTERED = "NOT_REGISTERED"
    AMBIGUOUS = "AMBIGUOUS"
    TWO_PEOPLE = "TWO_PEOPLE"
    """The hidden id names one person, the columns name another."""
    DOUBLED_PERSON = "DOUBLED_PERSON"
    INVALID_VALUE = "INVALID_VALUE"
    LEADER_WITHOUT_GROUP = "LEADER_WITHOUT_GROUP"
    TOO_MANY_CHANGES = "TOO_MANY_CHANGES"
    """More people than one edit may change."""
    HIDDEN_VALUES_IGNORED = "HIDDEN_VALUES_IGNORED"
    """The hidden values of a row are another person's, as after sorting a part of the columns."""
    NOT_IN_SHEET = "NOT_IN_SHEET"
    NOT_IMPORTED = "NOT_IMPORTED"
    """A column that no import changes differs from the list."""


class Problem(msgspec.Struct, frozen=True, rename="camel"):
    """One problem; where it is about a person, with what the person is known by."""

    code: ProblemCode
    message: str
    """One sentence for people, in Korean."""
    row: int | None = None
    """Of the sheet, from 1."""
    registration_id: int | None = None
    department: str = ""
    grade: str = ""
    name: str = ""
    phone: str = ""


WARNINGS: Final = frozenset({ProblemCode.HIDDEN_VALUES_IGNORED, ProblemCode.NOT_IN_SHEET})
"""What has to be acknowledged."""
NOTICES: Final = frozenset({ProblemCode.NOT_IMPORTED})
"""What need not be: everything that is neither of them blocks."""
