"""Upgrades a polling session to a WebSocket: ``2probe``, ``3probe``, ``5``.

See the Engine.IO protocol, revision 4, "Upgrade".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from gbs_actor.socketio.channel.channel import Channel, OnEnd, UpgradeTransport
from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.channel.outbox_limits import OutboxLimits
from gbs_actor.socketio.channel.tasks import ChannelTasks
from gbs_actor.socketio.channel.timers import Timer, Timers
from gbs_actor.socketio.engineio.packets import PacketType
from gbs_actor.socketio.engineio.polling import PollingTransport
from gbs_actor.socketio.engineio.session import Session
from gbs_actor.socketio.websocket.close_code import CloseCode, ProtocolViolation

_PROBE: Final = f"{PacketType.PING}probe"
_PROBE_ACK: Final = Message(f"{PacketType.PONG}probe".encode())


class Probe(Channel):
    """The channel of a WebSocket until its client has moved its session there.

    If the upgrade fails, the polling session continues as if there had been no probe.

    :param session: the one to move; if it cannot move, the WebSocket is closed.
    :param timeout: seconds the client may take.
    :param on_upgrade: called when the session has moved; the probe has no more to do then.
    """

    __slots__ = (
        "_deadline",
        "_moved",
        "_on_upgrade",
        "_polls",
        "_probed",
        "_timer",
        "_timers",
        "_websocket",
        "session",
    )

    def __init__(
        self,
        transport: UpgradeTransport,
        tasks: ChannelTasks,
        *,
        session: Session,
        timers: Timers,
        timeout: float,
        on_end: OnEnd,
        on_upgrade: Callable[[Probe], None],
    ) -> None:
        super().__init__(transport, tasks, OutboxLimits(), on_end)
        self._websocket = transport
        self.session = session
        self._polls: PollingTransport | None = None
        """Carries the session; ``None`` if it cannot move."""
        self._on_upgrade = on_upgrade
        self._probed = self._moved = False
        self._timers = timers
        self._deadline = trio.current_time() + timeout
        self._timer: Timer | None = None

    def open(self) -> None:
        """Begin to wait for the client's probe, unless there is nothing to upgrade."""
        session = self.session
        carrier = session.transport
        # The session may have ended since the request was accepted, even to make room for it.
        if (
            session.reason is not None
            or session.probe is not None
            or not isinstance(carrier, PollingTransport)
        ):
            self.close(CloseCode.POLICY_VIOLATION, "this session cannot be upgraded")
            return
        session.probe = self
        self._polls = carrier
        self._timer = self._timers.call_at(self._deadline, self._time_out)

    def receive_text(self, text: str) -> None:
        """Take the two packets of an upgrade."""
        if self.reason is not None:
            return  # it was read already when the probe ended
        if text == _PROBE and not self._probed and self._polls is not None:
            self._probed = True
            self.session.upgrading = True
            self.session.resume_events()
            self.session.resume_reading()
            if not self.session.outbox.waiting:  # else those go to the GET
                self._polls.respond_noop()
            self.outbox.send(_PROBE_ACK)
        elif text == PacketType.UPGRADE and self._probed:
            self.backlogged = True  # what follows is for the session, which has not moved here yet
            if self.outbox.waiting:
                self.tasks.start_soon(self._upgrade_later)
            else:
                self._upgrade()
        else:
            self.violated(ProtocolViolation("not what belongs into an upgrade"))

    def receive_binary(self, payload: bytes) -> None:
        """Refuse: an upgrade has no binary packets."""
        self.violated(ProtocolViolation("not what belongs into an upgrade"))

    async def _upgrade_later(self) -> None:
        """Upgrade once the last of the probe's own bytes have been sent."""
        self.outbox.finish(None)
        await self.outbox.flushed.wait()
        if self.reason is None and self.session.reason is None:
            self._upgrade()
            self.resume_reading()

    def _upgrade(self) -> None:
        assert self._polls is not None
        self.backlogged = False
        self._moved = True
        self._cancel_timer()
        self.session.move(self._websocket)
        self._websocket.channel = self.session
        self.session.received_at = self.received_at
        self._on_upgrade(self)
        self._polls.retire(self.session)  # this may end it
        self.outbox.stop()
        self.tasks.owner = None  # the probe can be freed

    # Ending; the session may have moved here.

    def end(self, reason: str, code: int, text: str = "", *, discard: bool = False) -> None:
        """See :class:`Channel`."""
        if not self._moved:
            super().end(reason, code, text, discard=discard)

    def lose(self, reason: str) -> None:
        """See :class:`Channel`."""
        if self._moved:
            self.outbox.stop()
            self.session.lose(reason)
        else:
            super().lose(reason)

    def ended(self, reason: str) -> None:
        """Leave the session to its polls."""
        self._cancel_timer()
        if self._polls is not None:
            self.session.probe = None
            self.session.upgrading = False

    async def run_disconnect_handlers(self) -> None:
        """There are none."""

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _time_out(self) -> None:
        self.close(CloseCode.POLICY_VIOLATION, "the probe has taken too long")

    def __repr__(self) -> str:
        return f"<Probe of {self.session!r}>"
