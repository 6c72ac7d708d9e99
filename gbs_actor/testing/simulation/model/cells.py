"""The fields of a line-up, and what each of them holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from gbs_actor.lineup.records import Memo

Row = Mapping[str, Any]
"""A row, or a group of the batch form, as on the wire."""
Key = tuple[int | None, int | None, str]
"""A registration's id or a group's number, and the name of the field."""
NUMBER: Final = "gbsNumber"
LEADER: Final = "isLeader"
LEADER_NAME: Final = "currentLeader"
LINEUP_NUMBER: Final = "lineupNumber"
MEMO: Final = "lineupMemo"
GROUP_MEMO: Final = "gbsMemo"
EXISTS: Final = "exists"


OWN: Final = (NUMBER, LEADER, LEADER_NAME, LINEUP_NUMBER, MEMO)
"""Those of a registration."""


@dataclass(eq=False, slots=True)
class Given:
    """A value that a change gave to a field; of a memo, text and colour."""

    value: Any


@dataclass(frozen=True, slots=True)
class Cell:
    """What a field holds, and who has changed it last."""

    given: Given
    revision: int = 0
    author_id: int | None = None
    author_name: str = ""
    at: datetime | None = None
    origin: int = 0
    """Of the value: the revision that first gave it."""
    memo_id: int | None = None

    @property
    def shown(self) -> Any:
        """The value as on the wire."""
        value = self.given.value
        if self.memo_id is None:
            return value
        return {"memoId": self.memo_id, "memo": value[0], "color": value[1]}


@dataclass(frozen=True, slots=True)
class Written:
    """What a change has made of a field."""

    before: Cell
    after: Cell


@lru_cache(4096)
def iso(moment: datetime) -> str:
    """Return a moment, in UTC, as rows write it."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def split(value: Any) -> tuple[Any, int | None]:
    """Return a value of the log; of a memo its text and colour, and apart from them its id."""
    return ((value.text, value.color), value.id) if isinstance(value, Memo) else (value, None)
