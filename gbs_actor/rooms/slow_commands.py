"""Logs the commands that took long, with where the time went."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from math import inf
from typing import Final

import trio

from gbs_actor.lineup.commands import kind_of
from gbs_actor.rooms.batch import Batch
from gbs_actor.rooms.mailbox import Submission

log = logging.getLogger(__name__)

INTERVAL: Final = 1.0
"""Seconds between two lines, at least: where everything is slow, the log must not be as well."""


class SlowCommands:
    """Looks at the batches of all rooms when they are done: once a batch, not once a command.

    :param threshold: seconds from which on a command is slow; 0: none is.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._quiet_until = -inf
        self._unlogged = 0

    def check(self, slug: str, batch: Batch, commands: Sequence[Submission]) -> None:
        """Log the slowest command of a batch if it was slow, and how many more were since then.

        :param slug: the room.
        :param batch: all of it has its reply, or was put back.
        """
        threshold = self.threshold
        if not threshold or not commands:
            return
        now = trio.current_time()
        since = now - threshold
        slow = [each for each in commands if each.received_at < since and each.replied]
        if not slow:
            return
        self._unlogged += len(slow)
        if now >= self._quiet_until:
            self._quiet_until = now + INTERVAL
            others, self._unlogged = self._unlogged - 1, 0
            _log(slug, batch, min(slow, key=lambda each: each.received_at), now, others)


def _log(slug: str, batch: Batch, command: Submission, now: float, others: int) -> None:
    took = now - command.received_at
    log.warning(
        "a command took %.3f s, %s; slow ones unlogged: %d",
        took,
        _where(batch, command.received_at, now),
        others,
        extra={
            **command.log_fields(),
            "room": slug,
            "user_id": command.command.author.user_id,
            "command": kind_of(command.command.action),
            "took": round(took, 6),
            "batch_size": len(batch.steps),
        },
    )


def _where(batch: Batch, received_at: float, now: float) -> str:
    """Return where the time went, in words."""
    queued = f"{batch.taken_at - received_at:.3f} s of it queued"
    if not batch.committed_at:
        return f"{queued}, {now - batch.taken_at:.3f} s until it was rejected"
    committing = batch.committing_since
    return (
        f"{queued}, {committing - batch.taken_at:.3f} s decided, "
        f"{batch.committed_at - committing:.3f} s committed, "
        f"{now - batch.committed_at:.3f} s handed out"
    )
