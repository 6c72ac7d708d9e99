"""The arguments of commands, as clients send them who show some list."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from gbs_actor.contract.events import CommandEvent
from gbs_actor.testing.simulation.history import Json
from gbs_actor.testing.simulation.plan import SLUGS
from gbs_actor.testing.simulation.plan.steps import Invoke
from gbs_actor.testing.simulation.replica import Replica


def argument_of(step: Invoke, replica: Replica) -> dict[str, Any]:
    """Return the argument of a step's command.

    :param replica: what the client shows that gives it.
    """
    argument = dict(step.argument)
    if step.memo_of is not None:
        row = replica.rows.get(step.memo_of)
        argument["memoId"] = (row and row["lineupMemoId"]) or 1
    if step.undoes_command is not None:
        argument["commandId"] = str(UUID(int=step.undoes_command + 1))
    elif step.undoes is not None:
        argument["revision"] = max(0, replica.seen - step.undoes)
        argument["epoch"] = replica.epoch or "unknown"
    if step.behind is not None:
        argument["baseRevision"] = max(0, replica.seen - step.behind)
        if replica.epoch is not None:
            argument["epoch"] = replica.epoch
    if step.named is not None:
        argument["retreatSlug"] = SLUGS[step.named]
    if step.command is not None:
        argument[_id_name(step.event)] = str(UUID(int=step.command + 1))
    return argument


def command_id(event: str, argument: Json) -> UUID | None:
    """Return the id that a client has given a command, if any."""
    given = argument.get(_id_name(event))
    return None if given is None else UUID(given)


def _id_name(event: str) -> str:
    """Return the name of a command's id; that of an undo names what is undone."""
    return "idempotencyKey" if event == CommandEvent.UNDO else "commandId"
