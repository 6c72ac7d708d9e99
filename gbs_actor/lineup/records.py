"""What is known of a retreat's people and groups, and the row that clients see of each.

What each change makes anew is a ``msgspec.Struct``: one is made in a fifth of a dataclass's time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import msgspec


class Gender(StrEnum):
    """A person's gender, as registered."""

    MALE = "MALE"
    FEMALE = "FEMALE"


class UserType(StrEnum):
    """Special kinds of participant; most people have none."""

    NEW_COMER = "NEW_COMER"
    STAFF = "STAFF"
    SOLDIER = "SOLDIER"


@dataclass(frozen=True, slots=True)
class Person:
    """The part of a registration that the line-up reads and never changes."""

    user_id: int
    univ_group_id: int
    univ_group_number: int
    grade_id: int
    grade_number: int
    gender: Gender
    name: str
    phone_number: str
    is_full_attendance: bool
    """Registered for every schedule of the retreat."""
    user_type: UserType | None
    schedule_ids: tuple[int, ...]
    created_at: datetime
    """Aware, UTC."""
    unresolved_lineup_history_memo: str | None = None
    admin_memo: str | None = None


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """Who changed a field last, when, and under which room revision (0: never)."""

    revision: int = 0
    author_id: int | None = None
    author_name: str = ""
    at: datetime | None = None
    restored_origin: int | None = None
    """The origin that came back with the value, if the last change was an undo."""

    @property
    def origin(self) -> int:
        """The revision of the change that first gave the field its value.

        The last change's own, except after an undo. 0: not known; matches no change.
        """
        return self.revision if self.restored_origin is None else self.restored_origin

    def is_of(self, revision: int) -> bool:
        """Whether the field has the value that the change of this revision gave it."""
        return revision in (self.revision, self.restored_origin)


class Memo(msgspec.Struct, frozen=True, gc=False):
    """A line-up memo. ``text`` may be empty only where ``color`` is not."""

    id: int = msgspec.field(name="memoId")
    text: str = msgspec.field(name="memo")
    color: str
    """``#RRGGBB``, or "" for none."""


NEVER = Stamp()


class Registration(msgspec.Struct, frozen=True, gc=False):
    """One registered person and the fields that line-up commands change."""

    id: int
    person: Person
    gbs_number: int | None
    updated_at: datetime
    """Aware, UTC."""
    number_stamp: Stamp = NEVER
    memo: Memo | None = None
    memo_stamp: Stamp = NEVER
    row_revision: int = 0
    """Revision of the last change from outside the line-up's own fields."""
    is_leader: bool = False
    leader_stamp: Stamp = NEVER
    current_leader: str = ""
    """The name of the leader of the person's grade, as typed."""
    current_leader_stamp: Stamp = NEVER
    lineup_number: int | None = None
    """A number of the staff's own, 1 to 99999; on no row."""
    lineup_number_stamp: Stamp = NEVER

    @property
    def revision(self) -> int:
        """Revision of the last change to anything of its own; its group's changes are not."""
        return max(
            self.number_stamp.revision,
            self.memo_stamp.revision,
            self.row_revision,
            self.leader_stamp.revision,
            self.current_leader_stamp.revision,
            self.lineup_number_stamp.revision,
        )


class Group(msgspec.Struct, frozen=True, gc=False):
    """A numbered group of one retreat.

    A group that was deleted is kept, marked as deleted and without memo, so that its revision
    stays known and an undo brings the same one back.
    """

    number: int
    memo: str = ""
    revision: int = 0
    """Room revision at which a row of this group last changed through the group."""
    memo_stamp: Stamp = NEVER
    stamp: Stamp = NEVER
    """Of its creation or deletion."""
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Retreat:
    """Everything a board is built from: one retreat as the store loaded it."""

    id: int
    slug: str
    revision: int
    epoch: str
    """Opaque; another one whenever revisions start anew."""
    registrations: tuple[Registration, ...]
    groups: Mapping[int, Group] = field(default_factory=dict)
    """By number; deleted ones, too."""
    removal_revision: int = 0
    """Revision at which a registration was last removed (0: never)."""


class Row(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A line-up row as clients hold it; see the wire contract for each field.

    A change makes many; as none can be part of a reference cycle, the garbage collector
    need not look at them (it held the loop up for 150 ms behind a large batch).
    """

    id: int
    user_id: int
    gbs_number: int | None
    total_count: int
    male_count: int
    female_count: int
    full_attendance_count: int
    partial_attendance_count: int
    univ_group_id: int
    univ_group_number: int
    grade_id: int
    grade_number: int
    gender: Gender
    name: str
    phone_number: str
    current_leader: str
    is_leader: bool
    is_full_attendance: bool
    gbs_memo: str
    lineup_memo: str
    lineup_memo_id: int | None
    lineup_memocolor: str
    user_type: UserType | None
    user_retreat_registration_schedule_ids: tuple[int, ...]
    created_at: str
    updated_at: str
    unresolved_lineup_history_memo: str | None
    admin_memo: str | None
    revision: int
