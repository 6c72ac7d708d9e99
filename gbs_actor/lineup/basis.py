"""What a command rests on: the revision its author was looking at, and what follows from it."""

from __future__ import annotations

from gbs_actor.lineup.commands import Command
from gbs_actor.lineup.records import Stamp
from gbs_actor.lineup.rules import InvalidValue


def is_of_other_epoch(command: Command, epoch: str) -> bool:
    """Whether the revisions that a command names are of another epoch than this one."""
    return command.epoch is not None and command.epoch != epoch


def check_base(base: int | None, command: Command, revision: int, epoch: str) -> None:
    """Refuse a base revision that the room has not reached.

    :param base: the command's, or that of a part of it.
    :param revision: the room's.
    :raises InvalidValue: the room has not reached it.
    """
    if base is None or is_of_other_epoch(command, epoch):
        return
    if not 0 <= base <= revision:
        raise InvalidValue("baseRevision", f"the room is at revision {revision}, not at {base}")


def is_unseen(stamp: Stamp, base: int | None, command: Command, epoch: str) -> bool:
    """Whether a command's author may not have seen the value that it replaces.

    :param stamp: of that value.
    :param base: the command's base revision, or that of a part of it.
    """
    if is_of_other_epoch(command, epoch):
        return True
    if base is not None:
        return stamp.revision > base and stamp.revision not in command.seen
    by_other = stamp.revision > 0 and stamp.author_id != command.author.user_id
    return command.outside_room and by_other
