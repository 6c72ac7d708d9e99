"""The columns of a line-up sheet: their names, and how a name typed by people is recognised."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from gbs_actor.sheets.cell import folded


class Heading(StrEnum):
    """The name of a column, in the order in which an export has them."""

    REGISTRATION_ID = "registrationId"
    """Hidden, as the two after it: what the row was exported from."""
    REVISION = "revision"
    EXPORT_ID = "exportId"
    LINEUP_NUMBER = "No."
    """The line-up number, or the place in the list of who has none."""
    LEADER = "리더"
    """``O`` for the leader of a group."""
    USER_ID = "ID"
    GBS_NUMBER = "조번호"
    DEPARTMENT = "부서"
    """The department's number, as the next has the grade's."""
    GRADE = "학년"
    GENDER = "성별"
    NAME = "이름"
    PHONE = "연락처"
    FULL_ATTENDANCE = "전참여부"
    """``O`` for who is registered for every schedule."""
    CURRENT_LEADER = "현리더"
    USER_TYPE = "새돌/군인/새가족"


HIDDEN: Final = (Heading.REGISTRATION_ID, Heading.REVISION, Heading.EXPORT_ID)

NEEDED: Final = (
    Heading.LEADER,
    Heading.GBS_NUMBER,
    Heading.DEPARTMENT,
    Heading.GRADE,
    Heading.NAME,
    Heading.PHONE,
    Heading.CURRENT_LEADER,
)
"""What an import reads: without one of them edits would be lost or people not recognised."""

_BY_NAME: Final = {folded(heading).rstrip("."): heading for heading in Heading}


def heading_of(text: str) -> Heading | None:
    """Return the column that a name means, whatever its spaces, case, width and full stops."""
    return _BY_NAME.get(folded(text).rstrip("."))
