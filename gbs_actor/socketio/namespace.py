"""A namespace: its sockets, and the handlers of the application."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from gbs_actor.environment import Environment
from gbs_actor.socketio.encoding import encode_event
from gbs_actor.socketio.errors import InvalidArguments
from gbs_actor.socketio.event import Event
from gbs_actor.socketio.observer import Observers
from gbs_actor.socketio.recovery import Recovery
from gbs_actor.socketio.socket import Socket

logger = logging.getLogger(__name__)

_PLAIN: Final = (tuple, dict, list, str, type(None))
"""Most of what handlers return; whether anything else is awaitable takes long to find out."""

Handler = TypeVar("Handler", bound=Callable[..., Any])


class Namespace:
    """A namespace of a server; made by :meth:`SocketServer.namespace`.

    Handlers may be plain functions, which run in the task that read the packet and must
    not take long, or coroutine functions, for which the connection's next event waits. The
    exception of a handler is logged (or passed to :meth:`on_error`); the connection stays open.
    All coroutine handlers are cancelled when their connection ends.

    :param observers: those of its server.
    :param environment: where the ids of its sockets come from.
    """

    def __init__(self, name: str, observers: Observers, environment: Environment) -> None:
        self.name = name
        self.observers = observers
        self.environment = environment
        self.connect_handler: Callable[[Socket, Any], Any] | None = None
        self.disconnect_handler: Callable[[Socket, str], Any] | None = None
        self._handlers: dict[str, Callable[..., Any]] = {}
        self._any: Callable[[Socket, Event], Any] | None = None
        self._error: Callable[[Socket, Event, Exception], Any] | None = None
        self._sockets: dict[str, Socket] = {}
        self._restoring: dict[Socket, None] = {}
        self.recovery: Recovery | None = None
        """How clients resume after a lost connection; ``None``: they reconnect as new ones."""

    @property
    def sockets(self) -> tuple[Socket, ...]:
        """The sockets that are connected now."""
        return tuple(self._sockets.values())

    def find_socket(self, sid: str) -> Socket | None:
        """Return the socket with this id; ``None`` if none is connected now."""
        return self._sockets.get(sid)

    def on_connect(self, handler: Handler) -> Handler:
        """Register ``handler(socket, auth)``: accepts a client by returning.

        ``auth`` is the client's CONNECT payload, an object or ``None``. To refuse, raise
        :exc:`ConnectError`; any other exception closes the transport (1011), so that
        the client tries again. Events that the handler emits are sent after the CONNECT.
        """
        self.connect_handler = handler
        return handler

    def on_disconnect(self, handler: Handler) -> Handler:
        """Register ``handler(socket, reason)``: runs once for each socket that was accepted.

        That is, whose ``on_connect`` handler has returned.

        Shielded from cancellation, and ended after ``disconnect_timeout``. Reasons are
        ``"client namespace disconnect"``, ``"server namespace disconnect"``,
        ``"transport close"``, ``"transport error"``, ``"ping timeout"``, ``"parse error"``
        and ``"server shutting down"``.
        """
        self.disconnect_handler = handler
        return handler

    def on(self, name: str) -> Callable[[Handler], Handler]:
        """Register ``handler(socket, *args)`` for one event.

        What it returns is the acknowledgement, if the client asked for one: ``None`` has
        no value, a tuple several.
        """

        def register(handler: Handler) -> Handler:
            self._handlers[name] = handler
            return handler

        return register

    def on_any(self, handler: Handler) -> Handler:
        """Register ``handler(socket, event)`` for events without a handler of their own.

        The handler decodes the arguments and replies by itself, at once or later, from any
        task; what it returns is ignored. An event whose client waits for a reply counts
        against ``max_unanswered_events`` until then: a handler that does not reply calls
        :meth:`Event.release`. The arguments are dropped when the handler has ended, unless
        it calls :meth:`Event.keep`.
        """
        self._any = handler
        return handler

    def on_error(self, handler: Handler) -> Handler:
        """Register ``handler(socket, event, error)``: a handler of an event has raised.

        A plain function; it may still reply to the event.
        """
        self._error = handler
        return handler

    def emit(self, name: str, *args: Any) -> None:
        """Send an event to every socket, encoded once. Never blocks.

        :raises TypeError: an argument has no JSON form.
        """
        if self.observers.event_broadcast is not None:
            self.observers.event_broadcast(self.name, name, args)
        sockets = (*self._sockets.values(), *self._restoring)
        if self.recovery is not None:
            kept = self.recovery.record_event(self.name, name, args, None)
            for socket in sockets:
                if socket.recoverable:
                    socket.deliver(kept)
            sockets = tuple(socket for socket in sockets if not socket.recoverable)
        if sockets:
            message = encode_event(self.name, name, *args)
            for socket in sockets:
                socket.deliver(message)

    def add(self, socket: Socket) -> None:
        """See :class:`~gbs_actor.socketio.socket.SocketNamespace`."""
        self._restoring.pop(socket, None)
        self._sockets[socket.id] = socket
        self.observers.connected(socket)

    def add_restoring(self, socket: Socket) -> None:
        """See :class:`~gbs_actor.socketio.socket.SocketNamespace`.

        Events to all are queued for it until its client is accepted.
        """
        self._restoring[socket] = None

    def remove(self, socket: Socket) -> None:
        """See :class:`~gbs_actor.socketio.socket.SocketNamespace`."""
        self._restoring.pop(socket, None)
        if self._sockets.get(socket.id) is socket:
            del self._sockets[socket.id]
        if socket.connected:
            self.observers.disconnected(socket, socket.reason)

    def handle(self, socket: Socket, event: Event) -> Awaitable[None] | None:
        """Run an event's handler; return what is left to await."""
        if socket.closed:
            event.release()
            return None
        try:
            handler = self._handlers.get(event.name)
            if handler is not None:
                result = handler(socket, *event.arguments())
                if not isinstance(result, _PLAIN) and inspect.isawaitable(result):
                    return self._await_result(socket, event, result)
                _acknowledge(event, result)
            elif self._any is not None:
                result = self._any(socket, event)
                if result is not None and inspect.isawaitable(result):
                    return self._await(socket, event, result)
            else:
                event.release()
        except Exception as error:  # noqa: BLE001  (the application's, reported below)
            self._report(socket, event, error)
        return None

    async def _await_result(self, socket: Socket, event: Event, result: Awaitable[Any]) -> None:
        try:
            _acknowledge(event, await result)
        except Exception as error:  # noqa: BLE001  (the application's, reported below)
            self._report(socket, event, error)

    async def _await(self, socket: Socket, event: Event, result: Awaitable[Any]) -> None:
        try:
            await result
        except Exception as error:  # noqa: BLE001  (the application's, reported below)
            self._report(socket, event, error)

    def _report(self, socket: Socket, event: Event, error: Exception) -> None:
        if self._error is not None:
            try:
                self._error(socket, event, error)
            except Exception:
                logger.exception(
                    "the error handler of %s failed", self.name, extra={"sid": socket.id}
                )
        elif isinstance(error, InvalidArguments):
            logger.info(
                "%s %.100r of %s: %s",
                self.name,
                event.name,
                socket.id,
                error,
                extra={"sid": socket.id},
            )
        else:
            logger.error(
                "handler of %s %.100r failed",
                self.name,
                event.name,
                exc_info=error,
                extra={"sid": socket.id},
            )
        event.release()  # the handler that would have replied has failed

    def __repr__(self) -> str:
        return f"<Namespace {self.name!r} sockets={len(self._sockets)}>"


def _acknowledge(event: Event, result: Any) -> None:
    if not event.wants_ack:
        return
    if result is None:
        event.reply()
    elif isinstance(result, tuple):
        event.reply(*result)
    else:
        event.reply(result)
