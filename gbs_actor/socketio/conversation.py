"""What one client says over its connection in Socket.IO: its sockets and their handlers."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import trio

from gbs_actor.socketio.channel.backlog import Backlog
from gbs_actor.socketio.channel.close_code import CloseCode
from gbs_actor.socketio.channel.options import ServerOptions
from gbs_actor.socketio.channel.outbox import Outbox
from gbs_actor.socketio.encoding import encode_connect_error, encode_disconnect
from gbs_actor.socketio.engineio.session import Session
from gbs_actor.socketio.errors import ConnectError
from gbs_actor.socketio.event import Event
from gbs_actor.socketio.membership import (
    AckReceived,
    EventReceived,
    Happening,
    Joining,
    Left,
    Membership,
    UnknownNamespace,
)
from gbs_actor.socketio.namespace import Namespace
from gbs_actor.socketio.recovery import Recovery, RecoveryAttempt
from gbs_actor.socketio.socket import Socket

logger = logging.getLogger(__name__)


class Conversation:
    """The Socket.IO side of one connection.

    :param namespaces: those there are, by name.
    """

    __slots__ = (
        "_backlog",
        "_connection",
        "_let_in",
        "_namespaces",
        "_options",
        "_session",
        "_sockets",
    )

    def __init__(
        self,
        connection: Session,
        namespaces: Mapping[str, Namespace],
        options: ServerOptions,
    ) -> None:
        self._connection = connection
        self._namespaces = namespaces
        self._options = options
        self._session = Membership(
            namespaces,
            max_connect_bytes=options.max_held_bytes,
            max_attachments=options.max_attachments,
            max_attachment_bytes=options.max_attachment_bytes,
        )
        self._backlog = Backlog(connection, options)
        self._sockets: dict[str, Socket] = {}
        self._let_in: dict[str, Socket] = {}

    @property
    def outbox(self) -> Outbox:
        """Where everything for the client goes."""
        return self._connection.outbox

    # What the client says.

    def receive_text(self, text: str, start: int) -> None:
        """See :class:`~gbs_actor.socketio.engineio.session.Application`."""
        self._act(self._session.receive_text(text, start))

    def receive_binary(self, payload: bytes) -> None:
        """See :class:`~gbs_actor.socketio.engineio.session.Application`."""
        self._act(self._session.receive_binary(payload))

    def _act(self, happening: Happening | None) -> None:
        match happening:
            case EventReceived():
                self._on_event(happening)
            case AckReceived(namespace, ack_id, json, attachments):
                self._sockets[namespace].acknowledge(ack_id, json, attachments)
            case Joining(namespace, auth):
                self._on_joining(self._namespaces[namespace], auth)
            case Left(namespace):
                socket = self._sockets.pop(namespace)
                socket.renounce()
                self._backlog.submit(partial(self._part, socket, "client namespace disconnect"))
            case UnknownNamespace(namespace):
                self.outbox.send(encode_connect_error(namespace, "Invalid namespace"))
            case None:
                pass

    def _namespace_of(self, socket: Socket) -> Namespace:
        return self._namespaces[socket.namespace.name]

    def _on_event(self, received: EventReceived) -> None:
        socket = self._sockets[received.namespace]
        event = Event(
            socket,
            self._backlog,
            received.namespace,
            received.data,
            ack_id=received.ack_id,
            attachments=received.attachments,
        )
        handle = self._namespace_of(socket).handle
        self._backlog.submit_event(event, partial(handle, socket, event))

    # Joining and leaving.

    def _on_joining(self, namespace: Namespace, auth: dict[str, Any] | None) -> None:
        socket = Socket(self, namespace, replace(self._connection.handshake, auth=auth))
        self._sockets[namespace.name] = socket
        self._backlog.submit(partial(self._connect, socket, auth))

    def _connect(self, socket: Socket, auth: Any) -> Awaitable[None] | None:
        recovery = self._namespace_of(socket).recovery
        if recovery is not None and recovery.enabled_for(socket):
            socket.remember(recovery)
            attempt = RecoveryAttempt.of(auth)
            if attempt is not None:
                return self._restore(socket, auth, recovery, attempt)
        return self._ask(socket, auth)

    async def _restore(
        self, socket: Socket, auth: Any, recovery: Recovery, attempt: RecoveryAttempt
    ) -> None:
        """Let a client in that wants to come back, as who it was or as somebody new."""
        restored = None
        try:
            with trio.move_on_after(self._options.restore_timeout):
                restored = await recovery.restore(socket, attempt.pid, attempt.offset)
        except ConnectError as refused:
            self._turn_away(socket, refused)
            return
        except Exception:
            logger.exception("restoring a session of %s failed", socket.namespace.name)
        if restored is not None:
            socket.restore(attempt.pid, restored.sid, restored.missed, restored.data)
        asking = self._ask(socket, auth)
        if asking is not None:
            await asking

    def _ask(self, socket: Socket, auth: Any) -> Awaitable[None] | None:
        """Let ``on_connect`` decide about a client."""
        handler = self._namespace_of(socket).connect_handler
        if handler is None:
            self._accept(socket)
            return None
        try:
            result = handler(socket, auth)
        except Exception as error:  # noqa: BLE001  (the application's, reported below)
            self._turn_away(socket, error)
            return None
        if inspect.isawaitable(result):
            return self._connect_later(socket, result)
        self._accept(socket)
        return None

    async def _connect_later(self, socket: Socket, result: Awaitable[Any]) -> None:
        try:
            await result
        except Exception as error:  # noqa: BLE001  (the application's, reported below)
            self._turn_away(socket, error)
        else:
            self._accept(socket)

    def _accept(self, socket: Socket) -> None:
        self._let_in[socket.id] = socket
        if socket.closed:  # ended meanwhile: it will be told so like any other
            return
        self._session.accept()
        if socket.let_in():
            self.leave(socket)

    def _turn_away(self, socket: Socket, error: Exception) -> None:
        if socket.closed:
            return
        if not isinstance(error, ConnectError):
            logger.error("on_connect of %s failed", socket.namespace.name, exc_info=error)
            self._connection.end("transport error", CloseCode.INTERNAL_ERROR, "internal error")
            return
        self._forget(socket)
        socket.end("server namespace disconnect")
        try:
            message = encode_connect_error(socket.namespace.name, error.message, error.data)
        except TypeError:
            logger.exception("the data of a ConnectError have no JSON form")
            message = encode_connect_error(socket.namespace.name, error.message)
        self.outbox.send(message)

    def leave(self, socket: Socket) -> None:
        """Take a socket out of its namespace, on the server's behalf."""
        if socket.closed:
            return
        if self._sockets.get(socket.namespace.name) is socket:
            # Else the client has left by itself, and may have come back since.
            self._forget(socket)
            self.outbox.send(encode_disconnect(socket.namespace.name))
        reason = "server namespace disconnect"
        socket.end(reason)
        self._backlog.submit(partial(self._part, socket, reason))

    def _forget(self, socket: Socket) -> None:
        name = socket.namespace.name
        if self._sockets.get(name) is socket:
            del self._sockets[name]
            self._session.leave(name)

    def _part(self, socket: Socket, reason: str) -> Awaitable[None] | None:
        """Let a socket go while its connection lives on."""
        awaitable = self._say_goodbye(socket, reason)
        return None if awaitable is None else self._shielded(awaitable)

    async def _shielded(self, awaitable: Awaitable[Any]) -> None:
        with trio.move_on_after(self._options.disconnect_timeout, shield=True):
            await awaitable

    def _say_goodbye(self, socket: Socket, reason: str) -> Awaitable[Any] | None:
        """Run ``on_disconnect``, once; return what is left to await."""
        socket.end(reason)
        handler = self._namespace_of(socket).disconnect_handler
        result = None
        try:
            if self._let_in.pop(socket.id, None) is not None and handler is not None:
                result = handler(socket, socket.reason)
        finally:
            if not inspect.isawaitable(result):
                socket.gone()
        return self._finish(socket, result) if inspect.isawaitable(result) else None

    @staticmethod
    async def _finish(socket: Socket, goodbye: Awaitable[Any]) -> None:
        try:
            await goodbye
        finally:
            socket.gone()

    # Ending.

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Close the transport behind what waits."""
        self._connection.close(code, reason)

    def abort(self) -> None:
        """Drop the connection at once."""
        self._connection.abort()

    def overflow(self) -> None:
        """Close the transport, as more waits than may: the client is too slow."""
        self._connection.overflow()

    def ended(self, reason: str) -> None:
        """See :class:`~gbs_actor.socketio.engineio.session.Application`."""
        for socket in (*self._sockets.values(), *self._let_in.values()):
            socket.end(reason)

    async def run_disconnect_handlers(self) -> None:
        """Cancel the handlers, then run every ``on_disconnect`` that has not run.

        Shielded from cancellation; ends after ``disconnect_timeout`` for the handlers that
        run, and as much for all that say goodbye.
        """
        patience = self._options.disconnect_timeout
        await self._backlog.stop()
        with trio.move_on_after(patience, shield=True):
            async with trio.open_nursery() as nursery:
                for socket in list(self._let_in.values()):
                    nursery.start_soon(self._last_goodbye, socket)
        for socket in (*self._sockets.values(), *self._let_in.values()):
            socket.gone()

    async def _last_goodbye(self, socket: Socket) -> None:
        try:
            awaitable = self._say_goodbye(socket, self._connection.reason or "transport close")
            if awaitable is not None:
                await awaitable
        except Exception:
            logger.exception("on_disconnect of %s failed", socket.namespace.name)

    # Back-pressure.

    @property
    def joined(self) -> bool:
        """Whether a namespace was joined."""
        return self._session.ever_joined

    @property
    def backlogged(self) -> bool:
        """See :class:`~gbs_actor.socketio.engineio.session.Application`."""
        return self._backlog.full
