"""Bugs in when a change is durable, and in what is replied if that is not known."""

from __future__ import annotations

from typing import Final

from gbs_actor.gateway.replies import Failure
from gbs_actor.rooms.batch import Batch
from gbs_actor.rooms.batch_runner import BatchRunner
from gbs_actor.rooms.commits import Commits
from gbs_actor.rooms.loading import Loading
from gbs_actor.rooms.mailbox import MailboxItem
from gbs_actor.rooms.restart_loop import RestartLoop
from gbs_actor.rooms.room import Room
from gbs_actor.store.memory_retreat import StoredRetreat
from tests.testing.simulation.planted.bug import bug

_ANSWER_UNCHANGED = """handle.observe(Tracepoint.DECIDED)
    from gbs_actor.lineup.changes import Change
    from gbs_actor.rooms.delivery import Accepted
    for step in batch.steps:
        change = step.outcome
        if isinstance(change, Change) and change.row and not change.rows:
            row = self._rows.row(change.row.id)
            step.work.reply(Accepted(change.revision, row, ()))"""
_ANSWER_REJECTED = """handle.observe(Tracepoint.DECIDED)
    for step in batch.steps:
        if isinstance(step.outcome, Rejection):
            step.work.reply(step.outcome)"""

COMMITTING: Final = (
    bug(
        "what changes nothing is answered before its commit",
        "calm",
        (BatchRunner._decide, "handle.observe(Tracepoint.DECIDED)", _ANSWER_UNCHANGED),
    ),
    bug(
        "a rejection is answered before the commit of what it rests on",
        "calm",
        (BatchRunner._decide, "handle.observe(Tracepoint.DECIDED)", _ANSWER_REJECTED),
    ),
    bug(
        "a rejection stays as it is if the change that it rests on fails",
        "fence",
        (
            BatchRunner._reject,
            "step.work.reply(rejection)",
            "step.work.reply(outcome if isinstance(outcome, Rejection) else rejection)",
        ),
    ),
    bug(
        "an unknown outcome is taken for success",
        "fence",
        (BatchRunner._commit, "if await self._resolve_outcome(batch):", "if True:"),
    ),
    bug(
        "an unknown outcome is looked up without a fence",
        "fence",
        (Commits._resolve_behind_fence, "passed = False", "passed = True"),
    ),
    bug(
        "an older entry is taken for that of a lost commit",
        "repeats",
        (
            Commits._resolve_behind_fence,
            "await self._store.committed(retreat_id, batch.attempt_id)",
            "bool(await self._store.find_commands(retreat_id, "
            "{c.command_id for c in batch.changes}))",
        ),
    ),
    bug(
        "a batch that failed is decided on the board of before",
        "foreign",
        (
            BatchRunner._install,
            "await self._loading.install(missed.delta, missed.begun, on_outage)",
            "self._rows.board._state.revision = missed.delta.version.revision",
        ),
    ),
    bug(
        "what was being committed is answered as not done",
        "stops",
        (
            Batch.reject_interrupted,
            "self.phase is Phase.DECIDING",
            "self.phase is not Phase.COMMITTED",
        ),
    ),
    bug(
        "a commit is cancelled with its room, and answered as not done",
        "stops",
        (Commits._send, "shield=True", "shield=False"),
        (Batch.reject_interrupted, "self.phase is Phase.DECIDING", "not self.committed_at"),
    ),
    bug(
        "a durable batch gets ROOM_RESTARTED after a crash",
        "crashes",
        (
            RestartLoop._reply_after_crash,
            "batch.reject_interrupted()",
            "batch.reject_pending(RESTARTED)",
        ),
        (
            RestartLoop._reply_after_crash,
            "if batch.phase is Phase.COMMITTED:",
            "if handle.rows is None:",
        ),
    ),
    bug(
        "a commit that has taken the fence's revision is not looked for",
        "crashes",
        (Room._start, "if resolution.committed:", "if resolution.committed and resolution.fence:"),
    ),
    bug(
        "a crash leaves its batch at the step of the one before",
        "crashes",
        (BatchRunner._committed, "batch.phase = Phase.COMMITTED", "batch.phase = Phase.DECIDING"),
    ),
    bug(
        "a reply may be called again",
        "crashes",
        (MailboxItem.reply, "reply, self._reply = self._reply, None", "reply = self._reply"),
    ),
    bug(
        "what may be tried again does not say so",
        "fence",
        (
            Failure.of,
            "if rejection.code is Code.OUTCOME_UNKNOWN and not repeatable",
            "if rejection.code is Code.OUTCOME_UNKNOWN",
        ),
    ),
    bug(
        "changes elsewhere are found only by the next commit",
        "foreign",
        (
            Loading.compare_with_store,
            "self._handle.begin_comparison()",
            "self._handle.begin_comparison()\n    return None",
        ),
    ),
    bug(
        "the store takes changes at any revision",
        "fence",
        (
            StoredRetreat.commit,
            "not self.is_at(attempt.epoch, attempt.expected_revision)",
            "attempt.epoch != self.epoch",
        ),
    ),
    bug(
        "the store commits a command again",
        "repeats",
        (StoredRetreat.commit, "if repeated := self.select(attempt.repeatable):", "if False:"),
        (
            StoredRetreat.commit,
            "if repeated := self.select([change.command_id for change in changes]):",
            "if False:",
        ),
    ),
)
