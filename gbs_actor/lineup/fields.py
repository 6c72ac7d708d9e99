"""The fields that line-up commands change, and their values in the log."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from gbs_actor.lineup.records import Group, Memo, Registration, Stamp


class Field(StrEnum):
    """A field with a stamp of its own: of a registration, or of a group."""

    GBS_NUMBER = "gbsNumber"
    IS_LEADER = "isLeader"
    CURRENT_LEADER = "currentLeader"
    LINEUP_NUMBER = "lineupNumber"
    LINEUP_MEMO = "lineupMemo"
    """The text and the colour, and whether there is one."""
    GBS_MEMO = "gbsMemo"
    """A group's."""
    EXISTS = "exists"
    """Whether there is a group with a number."""


Value = Memo | int | bool | str | None
"""Of a field; ``None``: no number, or no memo on a registration."""


class FieldValue(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """The value of one field before or after a change."""

    field: Field
    value: Value
    origin: int
    """Revision of the change that first gave the field this value; 0: not known."""
    registration_id: int | None = None
    gbs_number: int | None = None
    """The group's, if it is a field of a group."""

    @property
    def key(self) -> FieldKey:
        """Which field it is of."""
        return self.registration_id, self.gbs_number, self.field


FieldKey = tuple[int | None, int | None, Field]
"""A registration's id or a group's number, and a field of it."""


ATTRIBUTES: Final = {
    Field.GBS_NUMBER: ("gbs_number", "number_stamp"),
    Field.IS_LEADER: ("is_leader", "leader_stamp"),
    Field.CURRENT_LEADER: ("current_leader", "current_leader_stamp"),
    Field.LINEUP_NUMBER: ("lineup_number", "lineup_number_stamp"),
    Field.LINEUP_MEMO: ("memo", "memo_stamp"),
}
"""Of a registration's field: the attributes that have its value and its stamp."""


def value_in(registration: Registration, field: Field) -> tuple[Value, Stamp]:
    """Return the value of a registration's field, and its stamp."""
    attribute, stamp = ATTRIBUTES[field]
    return getattr(registration, attribute), getattr(registration, stamp)


def values_of(registration: Registration) -> tuple[tuple[Field, Value, Stamp], ...]:
    """Return the fields of a registration that commands change."""
    return (
        (Field.GBS_NUMBER, registration.gbs_number, registration.number_stamp),
        (Field.IS_LEADER, registration.is_leader, registration.leader_stamp),
        (Field.CURRENT_LEADER, registration.current_leader, registration.current_leader_stamp),
        (Field.LINEUP_NUMBER, registration.lineup_number, registration.lineup_number_stamp),
        (Field.LINEUP_MEMO, registration.memo, registration.memo_stamp),
    )


def values_of_group(group: Group) -> tuple[tuple[Field, Value, Stamp], ...]:
    """Return the fields of a group that commands change."""
    return (
        (Field.GBS_MEMO, group.memo, group.memo_stamp),
        (Field.EXISTS, not group.deleted, group.stamp),
    )
