"""One client's Socket.IO over its session: its sockets, and the handlers that run for them."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any

import trio

from gbs_actor.socketio.channel.backlog import Backlog
from gbs_actor.socketio.channel.options import ServerOptions
from gbs_actor.socketio.channel.outbox import Outbox
from gbs_actor.socketio.encoding import encode_connect_error, encode_disconnect
from gbs_actor.socketio.engineio.session import Session
from gbs_actor.socketio.errors import ConnectError
from gbs_actor.socketio.event import Event
from gbs_actor.socketio.membership import Membership
from gbs_actor.socketio.namespace import Namespace
from gbs_actor.socketio.observer import Observers
from gbs_actor.socketio.received import (
    AckReceived,
    ConnectReceived,
    DisconnectReceived,
    EventReceived,
    Received,
    UnknownNamespace,
)
from gbs_actor.socketio.recovery import Recovery, RecoveryAttempt
from gbs_actor.socketio.socket import Socket
from gbs_actor.socketio.websocket.close_code import CloseCode

logger = logging.getLogger(__name__)


class Conversation:
    """The Socket.IO side of one session.

    :param namespaces: those that exist, by name.
    :param observers: those of the server.
    """

    __slots__ = (
        "_accepted",
        "_backlog",
        "_membership",
        "_namespaces",
        "_observers",
        "_options",
        "_sockets",
        "session",
    )

    def __init__(
        self,
        session: Session,
        namespaces: Mapping[str, Namespace],
        options: ServerOptions,
        observers: Observers,
    ) -> None:
        self.session = session
        self._namespaces = namespaces
        self._observers = observers
        self._options = options
        self._membership = Membership(
            namespaces,
            max_connect_bytes=options.max_held_bytes,
            max_attachments=options.max_attachments,
            max_attachment_bytes=options.max_attachment_bytes,
        )
        self._backlog = Backlog(session, options)
        self._sockets: tuple[Socket, ...] = ()
        """One a namespace, from the CONNECT packet on; few, and a dict is 0.2 KB."""
        self._accepted: tuple[Socket, ...] = ()
        """From the acceptance until ``on_disconnect`` is run."""

    @property
    def outbox(self) -> Outbox:
        """The queue of everything sent to the client."""
        return self.session.outbox

    # Receiving.

    def receive_text(self, text: str, start: int) -> None:
        """See :class:`~gbs_actor.socketio.engineio.session.Application`."""
        event = self._membership.receive_usual(text, start)
        if event is not None:
            self._on_event(event)
        else:
            self._handle(self._membership.receive_text(text, start))

    def receive_binary(self, payload: bytes) -> None:
        """See :class:`~gbs_actor.socketio.engineio.session.Application`."""
        self._handle(self._membership.receive_binary(payload))

    def _handle(self, received: Received | None) -> None:
        match received:
            case EventReceived():
                self._on_event(received)
            case AckReceived(namespace, ack_id, json, attachments):
                self._socket_in(namespace).receive_ack(ack_id, json, attachments)
            case ConnectReceived(namespace, auth):
                self._on_connect(self._namespaces[namespace], auth)
            case DisconnectReceived(namespace):
                socket = self._socket_in(namespace)
                self._sockets = _without(self._sockets, socket)
                socket.client_left()
                reason = "client namespace disconnect"
                self._backlog.submit(partial(self._disconnect, socket, reason))
            case UnknownNamespace(namespace):
                error = ConnectError("Invalid namespace")
                self._observers.connect_refused(self.session, namespace, error)
                self.outbox.send(encode_connect_error(namespace, error.message))
            case None:
                pass

    def _socket_in(self, namespace: str) -> Socket:
        """Return the socket in a namespace that the client has joined."""
        for socket in self._sockets:
            if socket.namespace.name == namespace:
                return socket
        raise LookupError(namespace)

    def _on_event(self, received: EventReceived) -> None:
        namespace = received.namespace
        socket = self._sockets[0]
        if socket.namespace.name != namespace:
            socket = self._socket_in(namespace)
        event = Event(
            socket,
            self._backlog,
            namespace,
            received.data,
            ack_id=received.ack_id,
            attachments=received.attachments,
        )
        observe = socket.observe_event
        if observe is not None:
            observe(socket, event)
        self._backlog.submit_event(event, socket.namespace.handle, socket)

    # Connecting.

    def _on_connect(self, namespace: Namespace, auth: dict[str, Any] | None) -> None:
        socket = Socket(self, namespace, self.session.handshake, auth)
        self._sockets = (*self._sockets, socket)
        self._backlog.submit(partial(self._connect, namespace, socket, auth))

    def _connect(self, namespace: Namespace, socket: Socket, auth: Any) -> Awaitable[None] | None:
        recovery = namespace.recovery
        if recovery is not None and recovery.enabled_for(socket):
            socket.use_recovery(recovery)
            attempt = RecoveryAttempt.of(auth)
            if attempt is not None:
                return self._restore(namespace, socket, recovery, attempt)
        return self._run_connect_handler(namespace, socket)

    async def _restore(
        self, namespace: Namespace, socket: Socket, recovery: Recovery, attempt: RecoveryAttempt
    ) -> None:
        """Connect a client that resumes its session; if it cannot, as a new one."""
        restored = None
        try:
            with trio.move_on_after(self._options.restore_timeout):
                restored = await recovery.restore(socket, attempt.pid, attempt.offset)
        except ConnectError as error:
            self._refuse(socket, error)
            return
        except Exception:
            logger.exception(
                "restoring a session of %s failed", namespace.name, extra={"sid": socket.id}
            )
        if restored is not None:
            socket.restore(attempt.pid, restored.sid, restored.missed, restored.data)
        awaitable = self._run_connect_handler(namespace, socket)
        if awaitable is not None:
            await awaitable

    def _run_connect_handler(self, namespace: Namespace, socket: Socket) -> Awaitable[None] | None:
        """Run ``on_connect`` for a client; return what is left to await."""
        handler = namespace.connect_handler
        if handler is None:
            self._accept(socket)
            return None
        try:
            result = handler(socket, socket.auth)
        except Exception as error:  # noqa: BLE001  (the application's, reported below)
            self._refuse(socket, error)
            return None
        if inspect.isawaitable(result):
            return self._await_connect_handler(socket, result)
        self._accept(socket)
        return None

    async def _await_connect_handler(self, socket: Socket, result: Awaitable[Any]) -> None:
        try:
            await result
        except Exception as error:  # noqa: BLE001  (the application's, reported below)
            self._refuse(socket, error)
        else:
            self._accept(socket)

    def _accept(self, socket: Socket) -> None:
        self._accepted = (*self._accepted, socket)
        if socket.closed:  # ended meanwhile: its on_disconnect runs as any other's
            return
        self._membership.accepted()
        self.session.authenticated()
        if socket.accept():
            self.leave(socket)

    def _refuse(self, socket: Socket, error: Exception) -> None:
        if socket.closed:
            return
        name = socket.namespace.name
        self._observers.connect_refused(self.session, name, error)
        if not isinstance(error, ConnectError):
            logger.error("on_connect of %s failed", name, exc_info=error, extra={"sid": socket.id})
            self.session.end("transport error", CloseCode.INTERNAL_ERROR, "internal error")
            return
        self._remove(socket)
        socket.end("server namespace disconnect")
        try:
            message = encode_connect_error(name, error.message, error.data)
        except TypeError:
            logger.exception("the data of a ConnectError have no JSON form")
            message = encode_connect_error(name, error.message)
        self.outbox.send(message)

    # Disconnecting.

    def leave(self, socket: Socket) -> None:
        """Remove a socket from its namespace, as the server's decision."""
        if socket.closed:
            return
        if socket in self._sockets:
            # Else the client has left by itself, and may have reconnected since.
            self._remove(socket)
            self.outbox.send(encode_disconnect(socket.namespace.name))
        reason = "server namespace disconnect"
        socket.end(reason)
        self._backlog.submit(partial(self._disconnect, socket, reason))

    def _remove(self, socket: Socket) -> None:
        if socket in self._sockets:
            self._sockets = _without(self._sockets, socket)
            self._membership.leave(socket.namespace.name)

    def _disconnect(self, socket: Socket, reason: str) -> Awaitable[None] | None:
        """Run ``on_disconnect`` of a socket whose session continues."""
        awaitable = self._run_disconnect_handler(socket, reason)
        return None if awaitable is None else self._await_shielded(awaitable)

    async def _await_shielded(self, awaitable: Awaitable[Any]) -> None:
        with trio.move_on_after(self._options.disconnect_timeout, shield=True):
            await awaitable

    def _run_disconnect_handler(self, socket: Socket, reason: str) -> Awaitable[Any] | None:
        """Run ``on_disconnect``, once; return what is left to await."""
        socket.end(reason)
        handler = self._namespaces[socket.namespace.name].disconnect_handler
        accepted, result = socket in self._accepted, None
        if accepted:
            self._accepted = _without(self._accepted, socket)
        try:
            if accepted and handler is not None:
                result = handler(socket, socket.reason)
        finally:
            if not inspect.isawaitable(result):
                socket.finish_disconnect()
        if inspect.isawaitable(result):
            return self._await_disconnect_handler(socket, result)
        return None

    @staticmethod
    async def _await_disconnect_handler(socket: Socket, result: Awaitable[Any]) -> None:
        try:
            await result
        finally:
            socket.finish_disconnect()

    # Ending.

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Close the transport after sending what is queued."""
        self.session.close(code, reason)

    def abort(self) -> None:
        """Drop the connection at once."""
        self.session.abort()

    def overflow(self) -> None:
        """Close the transport, as too much is queued: the client is too slow."""
        self.session.overflow()

    def ended(self, reason: str) -> None:
        """See :class:`~gbs_actor.socketio.engineio.session.Application`."""
        for socket in (*self._sockets, *self._accepted):
            socket.end(reason)

    async def run_disconnect_handlers(self) -> None:
        """Cancel the handlers, then run every ``on_disconnect`` that has not run.

        Shielded from cancellation; returns after ``disconnect_timeout`` for the handlers that
        were running, and as much for all of ``on_disconnect``.
        """
        await self._backlog.stop()
        with trio.move_on_after(self._options.disconnect_timeout, shield=True):
            async with trio.open_nursery() as nursery:
                for socket in self._accepted:
                    nursery.start_soon(self._run_last_disconnect_handler, socket)
        for socket in (*self._sockets, *self._accepted):
            socket.finish_disconnect()
        self._sockets = self._accepted = ()

    async def _run_last_disconnect_handler(self, socket: Socket) -> None:
        try:
            reason = self.session.reason or "transport close"
            awaitable = self._run_disconnect_handler(socket, reason)
            if awaitable is not None:
                await awaitable
        except Exception:
            logger.exception(
                "on_disconnect of %s failed", socket.namespace.name, extra={"sid": socket.id}
            )

    # Back-pressure.

    def lag_changed(self, lagging: bool) -> None:
        """See :class:`~gbs_actor.socketio.engineio.session.Application`."""
        observe = self._observers.fell_behind if lagging else self._observers.caught_up
        if observe:
            for socket in self._accepted:
                observe(socket)

    @property
    def joined(self) -> bool:
        """See :class:`~gbs_actor.socketio.engineio.session.Application`."""
        return self._membership.ever_joined

    def resume_events(self) -> None:
        """See :class:`~gbs_actor.socketio.engineio.session.Application`."""
        self._backlog.resume()


def _without(sockets: tuple[Socket, ...], socket: Socket) -> tuple[Socket, ...]:
    return tuple(each for each in sockets if each is not socket)
