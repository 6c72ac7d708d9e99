"""The commands that a room has in hand, and what became of each so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from gbs_actor.lineup.changes import Change, LogEntry, Rejection, Result
from gbs_actor.lineup.commands import kind_of
from gbs_actor.lineup.records import Row
from gbs_actor.rooms.delivery import RESTARTED, UNKNOWN_OUTCOME
from gbs_actor.rooms.mailbox import MarkUpdate, Submission, Work
from gbs_actor.rooms.statistics import BatchStatistics, CommandInHand


class Phase(StrEnum):
    """How far a batch has got: what a crash means for its commands follows from it."""

    DECIDING = "deciding"
    """Nothing was sent to the store: after a crash ROOM_RESTARTED."""
    COMMITTING = "committing"
    """Sent, no reply yet: after a crash the outcome is unknown and has to be resolved."""
    COMMITTED = "committed"
    """Durable: after a crash OK, with the rows as the batch left them."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """A command whose id was accepted before."""

    revision: int
    """What the first one got."""
    row: Row | None
    """The addressed row as it is after the commands before the repeat, if it addressed one."""
    rows: tuple[Row, ...]
    """The rows whose own fields the first one changed, or addressed, as they are then."""
    result: Result


Outcome = Change | Rejection | Repeat


@dataclass(slots=True)
class Step:
    """One command or mark of a batch, and what was decided on it."""

    work: Work
    outcome: Outcome | None = None
    """``None``: a mark, or not decided yet."""
    own_revision: int | None = None
    """Of the own fields of the row that is in the outcome, if there is one: clients in the batch
    form get it as the row's revision."""


@dataclass(slots=True)
class Batch:
    """Commands and marks that share one commit.

    It belongs to the room's handle and not to the room's task: after a crash its phase
    decides what the pending replies are.
    """

    steps: list[Step]
    phase: Phase = Phase.DECIDING
    expected_revision: int = 0
    """The revision the changes rest on."""
    changes: tuple[Change, ...] = ()
    repeatable: frozenset[UUID] = frozenset()
    """Ids of commands that may be in the log although the room does not remember them."""
    attempt_id: UUID | None = None
    """Of the last try to commit it; ``None``: there was none."""
    found: dict[UUID, LogEntry] = field(default_factory=dict)
    """Entries of the log that were found for its commands."""
    undone: LogEntry | Rejection | None = None
    """What its command is to undo, or why there is nothing."""
    apart: bool = False
    """Whether it is one command, or mark, of a batch that could not be committed as a whole."""
    asked_at: int = 0
    """The :attr:`~gbs_actor.rooms.freshness.Freshness.moment` when it was taken."""
    taken_at: float = 0.0
    """Trio time at which it was taken from the mailbox."""
    committing_since: float = 0.0
    """Trio time at which the first commit began."""
    committed_at: float = 0.0
    """Trio time at which it became durable; 0: it has not."""
    attempts: int = 0
    """Commits of this batch that provably had no effect."""

    @classmethod
    def of(cls, work: Sequence[Work], *, apart: bool = False) -> Batch:
        """Return a batch with nothing decided."""
        return cls([Step(item) for item in work], apart=apart)

    def submissions(self) -> list[Submission]:
        """Return the commands, in their order."""
        return [step.work for step in self.steps if isinstance(step.work, Submission)]

    def marks(self) -> list[MarkUpdate]:
        """Return the updates of editing marks, in their order."""
        return [step.work for step in self.steps if isinstance(step.work, MarkUpdate)]

    def statistics(self) -> BatchStatistics:
        """Return how far it has got, and its commands without what was typed."""
        submissions = self.submissions()
        return BatchStatistics(
            phase=self.phase,
            attempts=self.attempts,
            marks=len(self.steps) - len(submissions),
            commands=tuple(
                CommandInHand(
                    command_id=submission.command.id,
                    kind=kind_of(submission.command.action),
                    user_id=submission.command.author.user_id,
                    user_name=submission.command.author.name,
                    replied=submission.replied,
                )
                for submission in submissions
            ),
        )

    def reject_pending(self, rejection: Rejection) -> None:
        """Reject everything that has no reply yet."""
        for step in self.steps:
            step.work.reply(rejection)

    def reject_interrupted(self) -> None:
        """Reject what has no reply yet, as its room does not go on with it."""
        deciding = self.phase is Phase.DECIDING
        self.reject_pending(RESTARTED if deciding else UNKNOWN_OUTCOME)
