"""What stands in the way of a command with many parts, and which code it gets for that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gbs_actor.lineup.changes import Problem, Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.fields import FieldKey, Value
from gbs_actor.lineup.names import shown_name
from gbs_actor.lineup.records import Stamp

_ORDER: Final = (Code.NOT_FOUND, Code.VALIDATION_FAILED, Code.LEADER_LOCKED, Code.CONFLICT)
"""The order in which commands are checked: the first that occurs is the code of the whole."""


def author_shown(stamp: Stamp) -> str:
    """Return the name of who changed a field last, as others may see it; "": not known."""
    if stamp.author_id is None:
        return stamp.author_name
    return shown_name(stamp.author_name, stamp.author_id)


def conflict(key: FieldKey, theirs: Value, stamp: Stamp, index: int | None = None) -> Problem:
    """Return the problem that a field was changed meanwhile.

    :param theirs: the value of the field.
    :param stamp: of that value.
    :param index: of the item that wants another value.
    """
    registration_id, gbs_number, field = key
    author = author_shown(stamp)
    return Problem(
        code=Code.CONFLICT,
        message=f"{author or 'Somebody'} has changed {field} meanwhile",
        index=index,
        registration_id=registration_id,
        gbs_number=gbs_number,
        field=field,
        theirs=theirs,
        changed_by=author,
        changed_at=stamp.at,
        revision=stamp.revision,
    )


def rejection(problems: Sequence[Problem]) -> Rejection:
    """Return the rejection of a command for one or more problems: all, in the items' order."""
    problems = sorted(problems, key=lambda problem: problem.index or 0)
    first = min(problems, key=lambda problem: _ORDER.index(problem.code))
    return Rejection(first.code, first.message, problems=tuple(problems))
