"""Observers: what happens on a server, for metrics, logs and tracing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gbs_actor.socketio.engineio.session import Session
from gbs_actor.socketio.event import Event
from gbs_actor.socketio.hook import Hook
from gbs_actor.socketio.net.http_response import RequestRefused
from gbs_actor.socketio.net.request import Request
from gbs_actor.socketio.socket import Socket


class Observer:
    """Sees what happens on a server; see :meth:`SocketServer.observe`.

    Override what you want to see: a method that is not overridden is never called. All are
    plain functions, called at once, in the task in which it happens; they must not take long,
    nor act on the socket or session that they are given. An exception is logged, once a minute at
    most, and changes nothing else.

    Of one session, the order is: :meth:`session_opened`; for each of its sockets
    :meth:`connected`, then :meth:`disconnected`; :meth:`session_ended`.
    """

    # Engine.IO: requests and sessions.

    def request_refused(
        self, request: Request, address: str | None, refusal: RequestRefused
    ) -> None:
        """See a request that got an HTTP error, such as a handshake of a foreign origin.

        :param address: the client's IP address, past trusted proxies; ``None`` if it has none.
        :param refusal: status, and body of the response.
        """

    def session_opened(self, session: Session) -> None:
        """See a new session, whose client has not joined any namespace."""

    def session_upgraded(self, session: Session) -> None:
        """See that a session has moved from polling to a WebSocket."""

    def session_ended(self, session: Session, reason: str) -> None:
        """See the end of a session, after that of its sockets.

        :param reason: one of those of :meth:`disconnected`, but none with "namespace". If the
            server has closed it, ``session.close_text`` says more.
        """

    # Socket.IO: sockets.

    def connect_refused(self, session: Session, namespace: str, error: Exception) -> None:
        """See that a client was not accepted in a namespace.

        :param namespace: as the client has sent it: one that does not exist may be long.
        :param error: a :exc:`ConnectError`; any other exception of ``on_connect`` ends the
            session as well.
        """

    def connected(self, socket: Socket) -> None:
        """See that a client was accepted in a namespace, just before it gets to know."""

    def fell_behind(self, socket: Socket) -> None:
        """See that a client does not read what it is sent, or too slowly.

        So much is queued that it is no longer read itself, or something has been queued for
        seconds when it is pinged.
        """

    def caught_up(self, socket: Socket) -> None:
        """See that a client that had fallen behind has caught up."""

    def disconnected(self, socket: Socket, reason: str) -> None:
        """See the end of a socket that was :meth:`connected`, before ``on_disconnect`` runs.

        :param reason: one of those of :meth:`.Namespace.on_disconnect`.
        """

    # Events.

    def event_received(self, socket: Socket, event: Event) -> None:
        """See an event of a client when it has been read; its handler may have to wait.

        May come before :meth:`connected`, as a client need not wait for that.
        """

    def event_sent(self, socket: Socket, name: str, args: tuple[Any, ...]) -> None:
        """See an event to one client, by a method of its socket.

        Neither acknowledgements nor what is sent by :meth:`.Socket.deliver` are seen here,
        but by a :class:`Tracer`.
        """

    def event_broadcast(self, namespace: str, name: str, args: tuple[Any, ...]) -> None:
        """See an event to all sockets of a namespace: once, however many there are."""


class Observers:
    """The observers of one server: each attribute calls that method of all of them."""

    def __init__(self) -> None:
        self.request_refused = Hook(Observer.request_refused)
        self.session_opened = Hook(Observer.session_opened)
        self.session_upgraded = Hook(Observer.session_upgraded)
        self.session_ended = Hook(Observer.session_ended)
        self.connect_refused = Hook(Observer.connect_refused)
        self.connected = Hook(Observer.connected)
        self.fell_behind = Hook(Observer.fell_behind)
        self.caught_up = Hook(Observer.caught_up)
        self.disconnected = Hook(Observer.disconnected)
        self._event_received = Hook(Observer.event_received)
        self._event_sent = Hook(Observer.event_sent)
        self._event_broadcast = Hook(Observer.event_broadcast)
        # ``None`` if nobody looks: these are on the path of every event.
        self.event_received: Callable[[Socket, Event], None] | None = None
        self.event_sent: Callable[[Socket, str, tuple[Any, ...]], None] | None = None
        self.event_broadcast: Callable[[str, str, tuple[Any, ...]], None] | None = None

    def add(self, observer: Observer) -> None:
        """Call one more observer from now on, behind the others."""
        self.request_refused.add(observer.request_refused)
        self.session_opened.add(observer.session_opened)
        self.session_upgraded.add(observer.session_upgraded)
        self.session_ended.add(observer.session_ended)
        self.connect_refused.add(observer.connect_refused)
        self.connected.add(observer.connected)
        self.fell_behind.add(observer.fell_behind)
        self.caught_up.add(observer.caught_up)
        self.disconnected.add(observer.disconnected)
        self._event_received.add(observer.event_received)
        self._event_sent.add(observer.event_sent)
        self._event_broadcast.add(observer.event_broadcast)
        self.event_received = self._event_received or None
        self.event_sent = self._event_sent or None
        self.event_broadcast = self._event_broadcast or None
