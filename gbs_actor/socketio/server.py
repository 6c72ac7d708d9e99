"""The server of Socket.IO: namespaces over Engine.IO sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.socketio.channel.options import ServerOptions
from gbs_actor.socketio.channel.plane import Plane, open_plane
from gbs_actor.socketio.conversation import Conversation
from gbs_actor.socketio.engineio.server import EngineServer, ServerStatistics
from gbs_actor.socketio.engineio.session import Session
from gbs_actor.socketio.namespace import Namespace
from gbs_actor.socketio.net.http_response import RequestRefused
from gbs_actor.socketio.net.request import Request
from gbs_actor.socketio.observer import Observer, Observers


class SocketServer(EngineServer):
    """A Socket.IO v5 server.

    Register namespaces and handlers, then run it: see
    :class:`~gbs_actor.socketio.engineio.server.EngineServer`.

    :param options: default: :class:`ServerOptions` with all of its defaults.
    :param environment: where ids and times come from.
    :param plane: see :class:`~gbs_actor.socketio.channel.server.ChannelServer`.
    :param changes: fields of the options by name.
    :raises ValueError: an option has a wrong value.
    """

    def __init__(
        self,
        options: ServerOptions | None = None,
        *,
        environment: Environment = SYSTEM,
        plane: Callable[[], Plane | None] = open_plane,
        **changes: Any,
    ) -> None:
        super().__init__(
            replace(options or ServerOptions(), **changes),
            self._make_conversation,
            environment=environment,
            plane=plane,
        )
        self._namespaces: dict[str, Namespace] = {}
        self._observers = Observers()

    def observe(self, observer: Observer) -> None:
        """Report what happens from now on to one more observer, behind the others.

        Events are reported to it from sockets that connect later: add it before
        :meth:`serving`.
        """
        self._observers.add(observer)

    @property
    def namespaces(self) -> tuple[Namespace, ...]:
        """The namespaces that exist."""
        return tuple(self._namespaces.values())

    def namespace(self, name: str) -> Namespace:
        """Return the namespace of this name, made at the first call.

        :raises ValueError: the name does not begin with a slash, or holds a comma.
        """
        if not name.startswith("/") or "," in name:
            raise ValueError(f"a namespace begins with a slash and has no comma, not {name!r}")
        found = self._namespaces.get(name)
        if found is None:
            found = self._namespaces[name] = Namespace(name, self._observers, self.environment)
        return found

    def statistics(self) -> ServerStatistics:
        """Return counters; reads all connections, so do not call it for every message."""
        sockets = {name: len(space.sockets) for name, space in self._namespaces.items()}
        return msgspec.structs.replace(super().statistics(), sockets=sockets)

    def _make_conversation(self, session: Session) -> Conversation:
        return Conversation(session, self._namespaces, self.options, self._observers)

    # What its observers see of the layers below.

    def request_refused(self, request: Request, peer: str | None, refusal: RequestRefused) -> None:
        """See :class:`.ChannelServer`."""
        if self._observers.request_refused:
            address = self.client_address(request, peer)
            self._observers.request_refused(request, address, refusal)

    def session_opened(self, session: Session) -> None:
        """See :class:`.EngineServer`."""
        self._observers.session_opened(session)

    def session_upgraded(self, session: Session) -> None:
        """See :class:`.EngineServer`."""
        self._observers.session_upgraded(session)

    def session_ended(self, session: Session, reason: str) -> None:
        """See :class:`.EngineServer`."""
        self._observers.session_ended(session, reason)
