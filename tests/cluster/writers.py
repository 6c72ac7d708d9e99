"""Clients of this process: our own one, and one that makes requests only."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import msgspec
import trio

from gbs_actor.client import Backoff, Client, CommandFailed, Disconnected, connect
from gbs_actor.lineup.records import Row as OwnRow
from tests.cluster.ledger import Edit, Ledger
from tests.cluster.plan import Plan
from tests.e2e.server_process import RETREAT
from tests.mixed.edit import LINE_UP
from tests.mixed.view import Row

AGAIN = 0.1
"""Seconds before an edit without a final answer is given again."""
ANSWER = 10.0
"""Seconds that an answer may take before that."""
READING = 1.0
"""Seconds between two readings of who makes requests only."""
PATIENCE = 60.0
"""Seconds for a first connection, or all attempts of an edit at one call of our own client."""
BACKOFF = Backoff(initial=0.2, maximum=2.0)
RETRYABLE_CODES = frozenset(
    {
        "ROOM_BUSY",
        "ROOM_RESTARTED",
        "ROOM_UNAVAILABLE",
        "STORE_UNAVAILABLE",
        "RATE_LIMITED",
        "OUTCOME_UNKNOWN",
    }
)
RETRYABLE_STATUS = frozenset({429, 502, 503, 504})


class Writer(ABC):
    """A client that gives one edit after the other.

    :param plan: what it edits.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ledger = Ledger(plan.name)
        self._stopping = False
        self._hurried = trio.Event()
        self._chance = random.Random(plan.number)

    async def run(self) -> None:
        """Edit at the plan's pace; return when told to stop, with no edit under way."""
        await self._pause_until(trio.current_time() + self._chance.random() * self.plan.interval)
        turn = 0
        while not self._stopping:
            next_at = trio.current_time() + self.plan.interval
            if (edit := self._chosen(turn)) is not None:
                await self.give(edit)
            turn += 1
            await self._pause_until(next_at)

    async def _pause_until(self, time: float) -> None:
        with trio.move_on_at(time):
            await self._hurried.wait()

    def hurry(self) -> None:
        """Let it give its next edit now."""
        self._hurried.set()
        self._hurried = trio.Event()

    def stop(self) -> None:
        """Let it finish the edit under way, and end."""
        self._stopping = True
        self.hurry()

    async def give(self, edit: Edit) -> None:
        """Give an edit until it is acknowledged or refused for good."""
        self.ledger.edits.append(edit)
        await self._give(edit)

    def _chosen(self, turn: int) -> Edit | None:
        rows = self.rows()
        if turn % 3 == 0 and (person := self.plan.memo_of) is not None:
            memo_id = rows[person]["lineupMemoId"]
            value = None if memo_id is not None and turn % 2 == 0 else f"메모 {person} {turn}"
            return Edit(person, "lineupMemo", value, memo_id)
        row = self._chance.choice([row for row in rows.values() if not row["isLeader"]])
        number = self.plan.numbers[turn % len(self.plan.numbers)]
        return None if row["gbsNumber"] == number else Edit(row["id"], "gbsNumber", number)

    @abstractmethod
    def rows(self) -> Mapping[int, Row]:
        """Return what the client shows now, by registration."""

    @abstractmethod
    async def _give(self, edit: Edit) -> None:
        """Give an edit that is in the ledger."""

    async def difference(self, rows: Mapping[int, Row]) -> str | None:
        """Return what it shows that is not so, if there is anything."""
        shown = self.rows()
        for id_ in rows.keys() | shown.keys():
            if self._compared(rows.get(id_)) != self._compared(shown.get(id_)):
                return f"{self.plan.name}: {shown.get(id_)}, not {rows.get(id_)}"
        return None

    def _compared(self, row: Row | None) -> Row | None:
        return row

    @abstractmethod
    def finish(self) -> None:
        """Complete the ledger."""


class OwnWriter(Writer):
    """Our own client."""

    def __init__(self, plan: Plan, client: Client) -> None:
        super().__init__(plan)
        self._client = client

    def rows(self) -> Mapping[int, Row]:
        return {row.id: msgspec.json.decode(msgspec.json.encode(row)) for row in self._client.rows}

    def _compared(self, row: Row | None) -> Row | None:
        # In the batch form the revision is that of the row's own fields.
        return None if row is None else {**row, "revision": 0}

    async def _give(self, edit: Edit) -> None:
        while edit.revision is None and edit.refused is None:
            before = self._client.statistics().resent
            try:
                edit.revision = (await self._command(edit)).revision
            except Disconnected:
                pass
            except CommandFailed as failure:
                if failure.code not in RETRYABLE_CODES:
                    edit.refused = str(failure)
            edit.attempts += 1 + self._client.statistics().resent - before

    async def _command(self, edit: Edit) -> OwnRow:
        client, command_id = self._client, edit.command_id
        if edit.field == "gbsNumber":
            assert isinstance(edit.value, int)
            return await client.assign(edit.person, edit.value, command_id=command_id)
        if edit.value is None:
            assert edit.memo_id is not None
            return await client.delete_memo(edit.memo_id, command_id=command_id)
        assert isinstance(edit.value, str)
        if edit.memo_id is None:
            return await client.create_memo(edit.person, edit.value, command_id=command_id)
        return await client.update_memo(edit.memo_id, edit.value, command_id=command_id)

    def finish(self) -> None:
        statistics = self._client.statistics()
        self.ledger.joins = statistics.connections
        if statistics.backward_merges:
            self.ledger.violations.append(f"{statistics.backward_merges} rows went back")
        if self._client.failure is not None:
            self.ledger.violations.append(f"ended: {self._client.failure}")


class RequestWriter(Writer):
    """Who reads and writes by requests, each of which any server may answer."""

    def __init__(self, plan: Plan, http: httpx.AsyncClient) -> None:
        super().__init__(plan)
        self._http = http
        self._headers = {"Authorization": f"Bearer {plan.token}"}
        self._rows: dict[int, Row] = {}
        self._epoch = ""
        self._revision = 0
        """The latest that any answer had: no later one may be older."""

    def rows(self) -> Mapping[int, Row]:
        return self._rows

    async def read(self) -> None:
        """Read what has changed, until a server has answered."""
        since = max((row["revision"] for row in self._rows.values()), default=0)
        query = f"?since={since}&epoch={self._epoch}" if self._epoch else ""
        body = await self._answered("GET", f"{LINE_UP}/user-lineups{query}")
        if isinstance(body, str):
            self.ledger.violations.append(f"reading: {body}")
            return
        self._note(body["revision"])
        if body["full"]:
            self._rows.clear()
        self._rows.update((row["id"], row) for row in body["userRetreatGbsLineups"])
        self._epoch = body["epoch"]

    async def _give(self, edit: Edit) -> None:
        method, path, content = _request(edit)
        body = await self._answered(method, path, content, edit)
        if isinstance(body, str):
            edit.refused = body
            return
        edit.revision = body["revision"]
        if edit.attempts == 1:
            self._note(body["revision"])
        await self.read()

    async def _answered(
        self,
        method: str,
        path: str,
        content: Mapping[str, object] | None = None,
        edit: Edit | None = None,
    ) -> dict[str, Any] | str:
        """Return the body of a success, or why it was refused for good."""
        headers = self._headers
        if edit is not None:
            headers = {**headers, "Idempotency-Key": str(edit.command_id)}
        while True:
            if edit is not None:
                edit.attempts += 1
            try:
                answer = await self._http.request(
                    method, self.plan.url + path, json=content, headers=headers
                )
            except httpx.TransportError:
                await trio.sleep(AGAIN)
                continue
            if answer.status_code in RETRYABLE_STATUS:
                await trio.sleep(AGAIN)
                continue
            if answer.status_code != 200:
                return f"{answer.status_code} {answer.text}"
            body: dict[str, Any] = answer.json()
            return body

    def _note(self, revision: int) -> None:
        if revision < self._revision:
            self.ledger.violations.append(f"an answer of {revision} behind {self._revision}")
        self._revision = max(self._revision, revision)

    def finish(self) -> None:
        self.ledger.joins = 1

    async def difference(self, rows: Mapping[int, Row]) -> str | None:
        await self.read()
        return await super().difference(rows)


def _request(edit: Edit) -> tuple[str, str, Mapping[str, object] | None]:
    """Return method, path and body."""
    if edit.field == "gbsNumber":
        path = f"{LINE_UP}/user-lineups/{edit.person}"
        return "PUT", path, {"gbsNumber": edit.value}
    target = edit.person if edit.memo_id is None else edit.memo_id
    method = "DELETE" if edit.value is None else "POST" if edit.memo_id is None else "PUT"
    content = None if edit.value is None else {"memo": edit.value}
    return method, f"{LINE_UP}/{target}/lineup-memo", content


@asynccontextmanager
async def writers(plans: Sequence[Plan]) -> AsyncIterator[list[Writer]]:
    """Connect clients for the time of a block; each has the list."""
    async with AsyncExitStack() as stack:
        limits = httpx.Limits(max_connections=None)
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=ANSWER, limits=limits))
        found: list[Writer] = []
        for plan in plans:
            if plan.kind == "http":
                reader = RequestWriter(plan, http)
                await reader.read()
                found.append(reader)
            else:
                client = await stack.enter_async_context(
                    connect(
                        plan.url,
                        plan.token,
                        connect_timeout=PATIENCE,
                        attempt_timeout=ANSWER,
                        command_timeout=PATIENCE,
                        backoff=BACKOFF,
                    )
                )
                await client.join(RETREAT)
                found.append(OwnWriter(plan, client))
        yield found
