"""A change of any number of fields: what it wants, and what it makes of the line-up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from gbs_actor.lineup.changes import Change, Problem
from gbs_actor.lineup.commands import Command, kind_of, request_bytes
from gbs_actor.lineup.fields import ATTRIBUTES, Field, FieldKey, FieldValue, Value, value_in
from gbs_actor.lineup.records import Group, Registration, Row, Stamp
from gbs_actor.lineup.row import NOBODY, iso_utc, moved, regrouped, rewritten, sort_key, totals_of
from gbs_actor.lineup.state import State


class NewValue(msgspec.Struct, frozen=True, gc=False):
    """A value that a field is to get."""

    value: Value
    restored_origin: int | None = None
    """The origin that comes back with it; ``None``: the change is the origin."""


@dataclass(slots=True)
class Plan:
    """The values that fields are to get, of registrations and of groups.

    A field that has its value already is left out of the change. Groups that people are put
    into need not be planned: those that do not exist are created.
    """

    values: dict[FieldKey, NewValue] = field(default_factory=dict)
    skipped: tuple[Problem, ...] = ()
    undoes: int | None = None

    def put(self, key: FieldKey, value: Value, restored_origin: int | None = None) -> None:
        """Plan the value of a field."""
        self.values[key] = NewValue(value, restored_origin)

    def person(self, id_: int, of: Field, value: Value) -> None:
        """Plan the value of a registration's field."""
        self.put((id_, None, of), value)

    def group(self, number: int, of: Field, value: Value) -> None:
        """Plan the value of a group's field."""
        self.put((None, number, of), value)


def change_of(plan: Plan, state: State, command: Command, at: datetime) -> Change:
    """Return the change that carries a plan out; the work is in the size of the groups touched.

    :param at: the moment of the change; aware.
    """
    return _Building(plan, state, command, at).change()


class _Building:
    """One change that is being made from a plan."""

    def __init__(self, plan: Plan, state: State, command: Command, at: datetime) -> None:
        self._plan = plan
        self._state = state
        self._command = command
        self._at = at
        author = command.author
        self._stamp = Stamp(state.revision + 1, author.user_id, author.name, at)
        self._people: dict[int, Registration] = {}
        self._groups: dict[int, Group] = {}
        self._joining: dict[int, list[int]] = {}

    def change(self) -> Change:
        plan, command = self._plan, self._command
        before, after = self._write(plan.values)
        self._touch_groups()
        return Change(
            revision=self._stamp.revision,
            command_id=command.id,
            author=command.author,
            kind=kind_of(command.action),
            at=self._at,
            request=request_bytes(command.action),
            before=tuple(before),
            after=tuple(after),
            registrations=tuple(self._people.values()),
            groups=tuple(self._groups[number] for number in sorted(self._groups)),
            rows=tuple(self._rows()),
            skipped=plan.skipped,
            undoes=plan.undoes,
        )

    def _write(self, values: dict[FieldKey, NewValue]) -> tuple[list[FieldValue], list[FieldValue]]:
        """Give the fields their values; return those that differ, before and after.

        Of who leads, or led, the group comes with the flag and the flag with the group: an undo
        needs the other.
        """
        before: list[FieldValue] = []
        after: list[FieldValue] = []
        people: dict[int, dict[str, Any]] = {}
        missing: dict[FieldKey, NewValue] = {}
        for (id_, number, of), new in values.items():
            value, former = self._state.field((id_, number, of))
            if value == new.value:
                continue
            stamp = self._stamp
            if new.restored_origin is not None:
                stamp = replace(stamp, restored_origin=new.restored_origin)
            before.append(FieldValue(of, value, former.origin, id_, number))
            after.append(FieldValue(of, new.value, stamp.origin, id_, number))
            if id_ is not None:
                attribute, of_stamp = ATTRIBUTES[of]
                changes = people.setdefault(id_, {"updated_at": self._at})
                changes[attribute] = new.value
                changes[of_stamp] = stamp
            else:
                assert number is not None
                self._write_group(number, of, new.value, stamp)
            if of is Field.GBS_NUMBER and isinstance(new.value, int):
                key = None, new.value, Field.EXISTS
                if key not in values and not self._state.has_group(new.value):
                    missing[key] = NewValue(True)
        for id_, changes in people.items():
            person = self._state.registrations[id_]
            self._people[id_] = replace(person, **changes)
            flagged, moves = "is_leader" in changes, "gbs_number" in changes
            if flagged != moves and (flagged or person.is_leader):
                of = Field.GBS_NUMBER if flagged else Field.IS_LEADER
                value, former = value_in(person, of)
                found = FieldValue(of, value, former.origin, id_)
                before.append(found)
                after.append(found)
        if missing:
            created = self._write(missing)
            before += created[0]
            after += created[1]
        return before, after

    def _write_group(self, number: int, of: Field, value: Value, stamp: Stamp) -> None:
        group = self._group(number)
        if of is Field.EXISTS:
            group = replace(group, deleted=not value, stamp=stamp)
        else:
            group = replace(group, memo=value, memo_stamp=stamp)
        self._groups[number] = group

    def _group(self, number: int) -> Group:
        group = self._groups.get(number) or self._state.groups.get(number) or Group(number)
        return replace(group, revision=self._stamp.revision)

    def _touch_groups(self) -> None:
        """Note the groups that people join, leave, lead from now on or no longer lead."""
        for id_, person in self._people.items():
            former = self._state.registrations[id_]
            left, joined = former.gbs_number, person.gbs_number
            moves = left != joined
            if moves and joined is not None:
                self._joining.setdefault(joined, []).append(id_)
            if moves or person.is_leader != former.is_leader:
                for number in (left, joined):
                    if number is not None and number not in self._groups:
                        self._groups[number] = self._group(number)

    def _rows(self) -> list[Row]:
        """Return every row that reads differently, in list order."""
        state, people = self._state, self._people
        at, revision = iso_utc(self._at), self._stamp.revision
        own = {
            id_: rewritten(state.rows[id_], person, at, revision) for id_, person in people.items()
        }
        rows: list[Row] = []
        for row in own.values():
            if row.gbs_number is None:
                rows.append(moved(row, at, revision, None, NOBODY))
            elif row.gbs_number not in self._groups:
                rows.append(row)
        for number, group in self._groups.items():
            members = [own.get(id_) or state.rows[id_] for id_ in self._members(number)]
            totals = totals_of(members)
            rows += regrouped(members, group, totals)
        rows.sort(key=sort_key)
        return rows

    def _members(self, number: int) -> Iterable[int]:
        people = self._people
        for id_ in self._state.members.get(number) or ():
            person = people.get(id_)
            if person is None or person.gbs_number == number:
                yield id_
        yield from self._joining.get(number, ())
