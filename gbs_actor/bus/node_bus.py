"""The bus of one node, over any publish/subscribe server."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import structlog
import trio

from gbs_actor.bus.channel import Channel, ChannelLost, Subscribe
from gbs_actor.bus.hints import LIMIT, Hint, HintMap, Hints
from gbs_actor.bus.message import MAX_SIZE, IncompatibleMessage, Message, Sender, encode, read
from gbs_actor.bus.presence import Record
from gbs_actor.bus.protocol import BusStatistics, Listener, NodeMessage
from gbs_actor.bus.record_queue import RecordQueue
from gbs_actor.bus.serials import Order, Serials
from gbs_actor.concurrency import Backoff, first_exception
from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.environment import SYSTEM, Environment

HEARTBEAT: Final = 1.0
"""Seconds without a message after which an empty one is sent."""
TIMEOUT: Final = 2.0
"""Seconds within which the server has to take a message, and to send it back to us."""
CONNECT_TIMEOUT: Final = 5.0
"""Seconds that a subscription may take."""
HEALTHY_AFTER: Final = 10.0
"""Seconds of a connection after which the back-off is reset."""
PRESENCE_SIZE: Final = 2 * MAX_SIZE
"""Bytes of presence that are sent at once, about, so that hints do not wait for it."""
CONGESTED_SIZE: Final = 4 * PRESENCE_SIZE
"""Bytes of presence that wait from which on it is said to be congested."""
_RECONNECT: Final = Backoff(initial=0.05, maximum=2.0)

_log = structlog.get_logger(__name__)


class NodeBus:
    """Sends the hints of a node and receives those of the others; a :class:`~.protocol.Bus`.

    One task does both, so that the connection needs no lock. It sends at once if it has not sent
    for ``interval``, and else when that is over: all hints that there are by then.

    :param kind: of server, for statistics and the log.
    :param node: the name of the node, short, and unique among them.
    :param interval: seconds between the beginnings of two sends, at least.
    :param limit: retreats with hints to send, or to take by :meth:`next`, at most.
    :param may_send: whether the node may use its name; as long as it may not, since another process
        has it, nothing is sent.
    """

    def __init__(
        self,
        kind: str,
        subscribe: Subscribe,
        *,
        node: str,
        interval: float,
        limit: int = LIMIT,
        may_send: Callable[[], bool] = lambda: True,
        environment: Environment = SYSTEM,
    ) -> None:
        self._may_send = may_send
        self._kind = kind
        self._subscribe = subscribe
        self._sender = Sender(node, environment.token(9))
        self._interval = interval
        self._chance = environment.chance
        self._pending = HintMap(limit)
        self._arrived = HintMap(limit)
        self._arrival = trio.lowlevel.ParkingLot()
        self._records = RecordQueue(limit)
        self._listener: Listener | None = None
        self._leaving = False
        self._left = trio.Event()
        self._serial = 0
        self._serials = Serials()
        self._sent_at = -math.inf
        self._returning: tuple[int, float] | None = None
        self._idle: trio.CancelScope | None = None
        self._connected = False
        self._sent = self._received = self._own = self._gaps = self._unreadable = 0
        self._lag: float | None = None
        self._failures = 0
        self._last_error: str | None = None

    def publish(self, retreat_id: int, epoch: str, revision: int) -> None:
        """Send a hint soon, see :meth:`.protocol.Bus.publish`."""
        self._pending.add(Hint(retreat_id, epoch, revision))
        self._wake()

    def send(self, record: Record) -> None:
        """Send presence soon, see :meth:`.protocol.Bus.send`."""
        if self._connected:
            self._records.put(record)
            self._wake()
        else:
            self._records.add_gap()

    @property
    def congested(self) -> bool:
        """Whether presence that can wait should, see :meth:`.protocol.Bus.congested`."""
        return self._records.size >= CONGESTED_SIZE

    def listen(self, listener: Listener) -> None:
        """Call a function with what arrives, see :meth:`.protocol.Bus.listen`."""
        self._listener = listener

    async def leave(self) -> None:
        """Let the others know that this node ends, see :meth:`.protocol.Bus.leave`."""
        self._leaving = True
        if self._connected:
            self._wake()
            await self._left.wait()
        else:
            await trio.lowlevel.checkpoint()

    async def next(self) -> Hints:
        """Wait for hints or a gap, see :meth:`.protocol.Bus.next`."""
        await trio.lowlevel.checkpoint()
        while not self._arrived:
            await self._arrival.park()
        return self._arrived.take()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send and receive until cancelled, see :meth:`.protocol.Bus.run`."""
        started = False

        def start() -> None:
            nonlocal started
            if not started:
                started = True
                task_status.started()

        delays = _RECONNECT.delays(self._chance)
        while True:
            began = trio.current_time()
            try:
                async with self._subscribe(self._receive, began + CONNECT_TIMEOUT) as channel:
                    self._subscribed()
                    start()
                    await self._serve(channel)
            except* ChannelLost as errors:
                self._lost(str(first_exception(errors)))
            finally:
                self._connected = False
                self._idle = None
                self._records.drop()
                if self._leaving:
                    self._left.set()
            start()
            if trio.current_time() - began >= HEALTHY_AFTER:
                delays = _RECONNECT.delays(self._chance)
            await trio.sleep(next(delays))

    def statistics(self) -> BusStatistics:
        """Return its state and counters; never blocks."""
        return BusStatistics(
            kind=self._kind,
            connected=self._connected,
            sent=self._sent,
            received=self._received,
            own=self._own,
            gaps=self._gaps,
            unreadable=self._unreadable,
            pending=len(self._pending),
            pending_presence=len(self._records),
            lag=self._lag,
            failures=self._failures,
            last_error=self._last_error,
        )

    # -- the connection

    def _subscribed(self) -> None:
        self._connected = True
        self._returning = None
        self._add_gap()
        _log.info("the bus is connected", kind=self._kind)

    def _lost(self, reason: str) -> None:
        self._failures += 1
        if self._connected or reason != self._last_error:
            _log.warning(
                "the bus is not connected; changes of other servers arrive a little later",
                kind=self._kind,
                reason=reason,
            )
        self._last_error = reason

    async def _serve(self, channel: Channel) -> None:
        while True:
            with trio.CancelScope(deadline=self._send_at()) as self._idle:
                await channel.receive()
            self._idle = None
            self._check_return()
            leaves = self._leaving
            if self._may_send():
                await self._send(channel, leaves=leaves)
            else:
                self._sent_at = trio.current_time()  # it is looked at again as if it was
            if leaves:
                self._left.set()
                await trio.sleep_forever()

    def _wake(self) -> None:
        """Send as soon as it is time, now that there is something to send."""
        if self._idle is not None:
            self._idle.deadline = self._send_at()

    def _send_at(self) -> float:
        """Return when the next message is due, in Trio's time."""
        waiting = self._pending or self._records or self._leaving
        return self._sent_at + (self._interval if waiting else HEARTBEAT)

    def _check_return(self) -> None:
        """Check that what we have sent comes back.

        :raises ChannelLost: it does not, so that what others send does not arrive, either.
        """
        if self._returning and trio.current_time() - self._returning[1] > TIMEOUT:
            raise ChannelLost(
                "what is sent does not come back: is there a pooler or proxy that does not keep "
                "subscriptions?"
            )

    async def _send(self, channel: Channel, *, leaves: bool) -> None:
        """Send what is pending, or a heartbeat.

        :param leaves: whether this is the last message.
        :raises ChannelLost: it may have been sent or not: if not, the serial of the next message
            is a gap.
        """
        hints = self._pending.take()
        gap = hints.gap | self._records.take_gap()
        serial = self._serial + (2 if gap else 1)
        records = self._records.take(PRESENCE_SIZE)
        messages = encode(self._sender, serial, hints.latest, records, leaves=leaves)
        self._serial = serial + len(messages) - 1
        self._sent_at = trio.current_time()
        if self._returning is None:
            self._returning = (self._serial, self._sent_at)
        with trio.move_on_after(TIMEOUT) as sending:
            await channel.publish(messages)
        if sending.cancelled_caught:
            raise ChannelLost(f"no answer within {TIMEOUT:g} seconds")
        self._sent += len(messages)

    # -- what arrives

    def _receive(self, data: bytes) -> None:
        try:
            message = read(data)
        except (InvalidPayload, IncompatibleMessage) as error:
            self._unreadable += 1
            self._add_gap()
            _log.debug("a message of the bus cannot be read", reason=str(error))
            return
        if message.node == self._sender.node:
            self._receive_own(message)
            return
        self._received += 1
        fits = self._arrived.update(message.hints)
        order = self._serials.order(message, trio.current_time())
        if order in (Order.GAP, Order.RESTARTED) or not fits:
            self._add_gap()
        elif self._arrived:
            self._arrival.unpark()
        if self._listener is not None and message.run and order is not Order.LATE:
            self._listener(self._node_message(message, order))

    def _node_message(self, message: Message, order: Order) -> NodeMessage:
        requested = [
            retreat_id
            for request in message.wanted
            if self._sender.node in request.nodes
            for retreat_id in request.retreat_ids
        ]
        return NodeMessage(
            node=message.node,
            gap=order is not Order.NEXT,
            restarted=order is Order.RESTARTED,
            leaves=message.leaves,
            people=message.people,
            editing=message.editing,
            requested=tuple(requested),
        )

    def _receive_own(self, message: Message) -> None:
        if message.run != self._sender.run:
            return  # of another process of our name
        self._own += 1
        if self._returning and message.serial >= self._returning[0]:
            self._lag = trio.current_time() - self._returning[1]
            self._returning = None

    def _add_gap(self) -> None:
        self._gaps += 1
        self._arrived.add_gap()
        self._arrival.unpark()
