"""The edited cells of a sheet as the parts of one command."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from gbs_actor.lineup.commands import Assignment
from gbs_actor.lineup.fields import ATTRIBUTES
from gbs_actor.lineup.fields import Field as LoggedField
from gbs_actor.lineup.records import Registration
from gbs_actor.sheets import CellEdit, Field


def assignments(
    changes: Iterable[CellEdit],
    registrations: Mapping[int, Registration],
    seen: Collection[int],
) -> tuple[Assignment, ...]:
    """Return one assignment for each person, in the order of the sheet.

    A row of the sheet says who leads: a leader whose group it changes leads that one, unless
    they have become a leader since.

    :param registrations: by id, as the changes were compared with them.
    :param seen: revisions whose changes are no conflict.
    """
    by_person: defaultdict[int, dict[Field, CellEdit]] = defaultdict(dict)
    for change in changes:
        by_person[change.registration_id][change.field] = change
    made = []
    for id_, edits in by_person.items():
        # One row, one base.
        base = min(edit.base_revision for edit in edits.values())
        values: dict[str, Any] = {
            ATTRIBUTES[LoggedField(field)][0]: edit.to for field, edit in edits.items()
        }
        person = registrations[id_]
        since = person.leader_stamp.revision
        if Field.GBS_NUMBER in edits and person.is_leader and (since <= base or since in seen):
            values.setdefault("is_leader", True)
        made.append(Assignment(id_, base_revision=base, **values))
    return tuple(made)
