"""What this node asks of others: for a bounded number of operators' requests at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final
from uuid import UUID

import trio

from gbs_actor.environment import Environment
from gbs_actor.store.nodes import NodeDirectory, NodeReport
from gbs_actor.store.protocol import OutcomeUnknown, StoreError

TAKE_WITHIN: Final = 3.0
"""Seconds after which a node does not begin any more with what it was asked."""
ANSWER_WITHIN: Final = 9.0
"""Seconds after which an answer is not waited for any more."""
DISCARD_WITHIN: Final = 1.0
"""Seconds that the removal of a request may take that is not waited for any more."""
MAX_IN_FLIGHT: Final = 32
"""Requests to one node that wait for their answers, at most; and as many actions."""
MAX_OF_ONE: Final = 5
"""Of the former, of one operator: fewer than the node serves at the same time."""
_POLL: Final = 0.05
"""Seconds between two looks for an answer."""
_WITHDRAW_AFTER: Final = TAKE_WITHIN + 0.5


class NodeNotAnswering(Exception):
    """A node has not answered what it was asked.

    :param begun: whether it may have begun with it, so that it may be done all the same.
    """

    def __init__(self, node: str, *, begun: bool) -> None:
        super().__init__(node)
        self.node = node
        self.begun = begun


class TooManyRequests(Exception):
    """As many requests wait for a node as may; it was not asked.

    :param own: whether they are all of the operator who asks.
    """

    def __init__(self, node: str, *, own: bool) -> None:
        super().__init__(node)
        self.node = node
        self.own = own


class OutgoingRequests:
    """Stores requests for other nodes, and waits for their answers."""

    def __init__(self, directory: NodeDirectory, environment: Environment) -> None:
        self._directory = directory
        self._environment = environment
        self._in_flight: Counter[tuple[str, bool, int | None]] = Counter()
        """By node, whether it acts, and operator."""

    async def send(
        self,
        node: NodeReport,
        request: bytes,
        operator: int | None,
        *,
        acts: bool = False,
        answer_within: float = ANSWER_WITHIN,
    ) -> bytes:
        """Ask something of another node; return its answer.

        The node begins with it within :data:`TAKE_WITHIN`, by the store's clock, or never.
        Without an answer the request is removed from the store, within :data:`DISCARD_WITHIN`;
        also if this is cancelled: then it may still be done.

        :param operator: the id of the user who asks; ``None``: whoever has the operator token.
        :param acts: whether it may change something; then no requests that only read hold it up.
        :param answer_within: seconds.
        :raises NodeNotAnswering: it does not, or the store cannot be reached.
        :raises TooManyRequests: beyond :data:`MAX_IN_FLIGHT` or :data:`MAX_OF_ONE`.
        """
        with self._counted(node.name, operator, acts=acts):
            request_id, answer = self._environment.uuid(), None
            try:
                answer = await self._exchange(request_id, node, request, answer_within)
            finally:
                if answer is None:
                    await self._discard(request_id)
        return answer

    async def _exchange(
        self, request_id: UUID, node: NodeReport, request: bytes, answer_within: float
    ) -> bytes:
        """Store a request, and wait for its answer.

        :raises NodeNotAnswering: see :meth:`send`.
        """
        began = trio.current_time()
        try:
            await self._directory.ask(request_id, node.run_id, request, TAKE_WITHIN)
        except OutcomeUnknown:
            pass  # it may be stored
        except StoreError:
            raise NodeNotAnswering(node.name, begun=False) from None
        withdrawing = True
        while (elapsed := trio.current_time() - began) < answer_within:
            await trio.sleep(_POLL)
            try:
                answer = await self._directory.take_answer(request_id)
                if answer is not None:
                    return answer
                if withdrawing and elapsed >= _WITHDRAW_AFTER:
                    withdrawing = False
                    if await self._directory.withdraw(request_id):
                        raise NodeNotAnswering(node.name, begun=False)
            except StoreError:
                pass  # it may be reached again in time
        raise NodeNotAnswering(node.name, begun=True)

    async def _discard(self, request_id: UUID) -> None:
        """Remove a request; where that fails, it is removed with those that are too old."""
        with suppress(StoreError), trio.move_on_after(DISCARD_WITHIN, shield=True):
            await self._directory.discard(request_id)

    @contextmanager
    def _counted(self, node: str, operator: int | None, *, acts: bool) -> Iterator[None]:
        """Count a request as in flight within the block.

        :raises TooManyRequests: too many are.
        """
        key = node, acts, operator
        if not acts and self._in_flight[key] >= MAX_OF_ONE:
            raise TooManyRequests(node, own=True)
        alike = [count for (*kind, _), count in self._in_flight.items() if kind == [node, acts]]
        if sum(alike) >= MAX_IN_FLIGHT:
            raise TooManyRequests(node, own=False)
        self._in_flight[key] += 1
        try:
            yield
        finally:
            self._in_flight[key] -= 1
            if not self._in_flight[key]:
                del self._in_flight[key]
