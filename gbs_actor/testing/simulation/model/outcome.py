"""What becomes of a command: the fields that it writes, or a rejection with its details."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gbs_actor.lineup.names import shown_name
from gbs_actor.testing.simulation.model.cells import Cell, Key, Row, iso

ACCEPTED: Final = "OK"


@dataclass(frozen=True, slots=True)
class Write:
    """A value that a field is to get."""

    value: Any
    memo_id: int | None = None
    """Of a memo; ``None``: a fresh one, if there is a value."""
    origin: int | None = None
    """That comes back with the value; ``None``: the change is the origin."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A command that is accepted, or why it is not."""

    code: str = ACCEPTED
    row: int | None = None
    """The registration that the command is about, if it is about one."""
    writes: Mapping[Key, Write] = field(default_factory=dict)
    """The fields that change."""
    conflict: Row | None = None
    """As in the reply, if a command on one field is rejected for the newer value."""
    problems: tuple[Row, ...] = ()
    """Of a rejection, or what was left out; as in the reply, without the message."""
    undoes: int | None = None


class Refused(Exception):
    """What is decided is a rejection."""

    def __init__(self, code: str, problems: Iterable[Row] = (), **more: Any) -> None:
        super().__init__(code)
        self.decision = Decision(code, problems=tuple(problems), **more)


def problem(
    code: str, index: int | None = None, id_: int | None = None, field_: str | None = None
) -> Row:
    """Return a problem with an item, as in a reply."""
    return problem_of(code, index, (id_, None, field_ or ""), None)


def problem_of(code: str, index: int | None, key: Key, cell: Cell | None) -> Row:
    """Return a problem with a field, as in a reply.

    :param cell: the newer value, if that is the problem.
    """
    known: dict[str, Any] = {"theirs": None, "changedBy": None, "changedAt": None, "revision": None}
    if cell is not None:
        known = {
            "theirs": cell.shown,
            "changedBy": author_shown(cell) or None,
            "changedAt": None if cell.at is None else iso(cell.at),
            "revision": cell.revision or None,
        }
    return {
        "index": index,
        "registrationId": key[0],
        "gbsNumber": key[1],
        "code": code,
        "field": key[2] or None,
        **known,
    }


def author_shown(cell: Cell) -> str:
    """Return the name of who changed a field last, as others see it."""
    return "" if cell.author_id is None else shown_name(cell.author_name, cell.author_id)


def rejection(problems: list[Row]) -> Refused:
    """Return the rejection for one problem or more."""
    order = ["NOT_FOUND", "VALIDATION_FAILED", "LEADER_LOCKED", "CONFLICT"]
    code = min((each["code"] for each in problems), key=order.index)
    return Refused(code, sorted(problems, key=lambda each: each["index"] or 0))
