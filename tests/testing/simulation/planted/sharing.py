"""Bugs in what several nodes do with one store."""

from __future__ import annotations

from typing import Final

from gbs_actor.rooms.anti_entropy import AntiEntropy
from gbs_actor.rooms.batch_runner import BatchRunner
from gbs_actor.rooms.commits import Commits
from gbs_actor.rooms.freshness import Freshness
from gbs_actor.rooms.node_link import NodeLink
from gbs_actor.rooms.subscriptions import Subscriptions
from gbs_actor.store.memory_retreat import StoredRetreat
from tests.testing.simulation.planted.bug import bug

_BY_COMMAND = """bool(await self._store.find_commands(
                    retreat_id, {change.command_id for change in batch.changes}
                ))"""
_UNDER_THE_LOCK = "as retreat:\n"
_TOLERANT = """try:
                    await self._commits.commit(batch, retreat.commit)
                except ValueError:
                    pass"""
_HOLDING_ON = """try:
                    await self._commits.commit(batch, retreat.commit)
                except (StoreUnavailable, CommitRefused):
                    await self._loading.wait_for_store()
                    raise"""

SHARING: Final = (
    bug(
        "a lost batch counts as committed if the log has its command ids",
        "nodes",
        (
            Commits._resolve_behind_fence,
            "await self._store.committed(retreat_id, batch.attempt_id)",
            _BY_COMMAND,
        ),
        layer="nodes",
    ),
    bug(
        "a check of revisions is shared with who asks while it is out",
        "nodes",
        (Freshness.run, "query, self._next = self._next, None", "query = self._next"),
        (Freshness.run, "query.done.set()", "self._next = None\n            query.done.set()"),
        (Freshness.run, "query.number = self.begin()", "pass"),
        (Freshness.run, "query.failure = None", "query.failure, query.number = None, self.begin()"),
        layer="nodes",
    ),
    bug(
        "a check of revisions gets its number when it returns",
        "nodes",
        (Freshness.run, "query.number = self.begin()", "pass"),
        (Freshness.run, "query.failure = None", "query.failure, query.number = None, self.begin()"),
        layer="nodes",
    ),
    bug(
        "who joins or reads does not wait for a check",
        "nodes",
        (Subscriptions._may_process, "isinstance(item, Leave)", "True"),
        layer="nodes",
    ),
    bug(
        "a batch without changes is answered without a check",
        "nodes",
        (BatchRunner._has_to_decide_again, "asks = bool(batch.submissions())", "asks = False"),
        layer="nodes",
    ),
    bug(
        "who knows of more gets a full list in an outage",
        "nodes",
        (Subscriptions._knows_more, "item.since is not None", "False"),
        layer="nodes",
    ),
    bug(
        "a commit does not compare the epoch",
        "nodes",
        (StoredRetreat.commit, "self.is_at(attempt.epoch,", "self.is_at(self.epoch,"),
        layer="nodes",
    ),
    bug(
        "a delta lacks the rows of its first revision",
        "nodes",
        (StoredRetreat.delta, "if r.revision > revision)", "if r.revision > revision + 1)"),
        layer="nodes",
    ),
    bug(
        "a hint of a revision that the board has counts as a check",
        "nodes",
        (
            NodeLink.follow,
            "hinted.heed(hint)",
            "hinted.heed(hint); "
            "hinted.confirmed_at += (hint.revision <= hinted.revision) * 1_000_000",
        ),
        layer="nodes",
    ),
    bug(
        "rooms do not compare themselves with the store",
        "nodes",
        (AntiEntropy._compare, "if versions.get(former.id) != former:", "if False:"),
        layer="nodes",
    ),
    bug(
        "a batch is never decided under the lock",
        "nodes",
        (BatchRunner._commit, "if misses < MAX_MISSES:", "if True:"),
        layer="nodes",
    ),
    bug(
        "memo ids are reserved under the lock",
        "nodes",
        (BatchRunner._commit_locked, "await self._decisions.prepare(batch, board)", "pass"),
        (
            BatchRunner._commit_locked,
            _UNDER_THE_LOCK,
            f"{_UNDER_THE_LOCK}            await self._decisions.prepare(batch, board)\n",
        ),
        layer="nodes",
    ),
    bug(
        "the lock is kept while the store is waited for",
        "nodes",
        (
            BatchRunner._commit_locked,
            "await self._commits.commit(batch, retreat.commit)",
            _HOLDING_ON,
        ),
        layer="nodes",
    ),
    bug(
        "a commit under the lock that is stale counts as done",
        "nodes",
        (
            BatchRunner._commit_locked,
            "installed = self._loading.take_over(retreat.delta, begun)",
            "pass",
        ),
        (
            BatchRunner._commit_locked,
            "await self._commits.commit(batch, retreat.commit)",
            _TOLERANT,
        ),
        layer="nodes",
    ),
    bug(
        "what was missed before the lock is not sent",
        "nodes",
        (BatchRunner._commit_locked, "if installed:", "if False:"),
        layer="nodes",
    ),
)
