"""The line-up as a client sees it: commands in, rows and updates out."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID

import trio

from gbs_actor.client.commands import LineupCommands
from gbs_actor.client.dialing import ConnectStream, Endpoint, tcp
from gbs_actor.client.errors import Disconnected
from gbs_actor.client.link import Link
from gbs_actor.client.reconnector import ClientOptions, Reconnector
from gbs_actor.client.replies import ListedGroup, Reply
from gbs_actor.client.statistics import ClientStatistics
from gbs_actor.client.updates import UpdateFeed
from gbs_actor.client.view import LineupView
from gbs_actor.concurrency import Backoff
from gbs_actor.contract.batch_form import BATCH_FORM
from gbs_actor.contract.events import ClientEvent
from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.lineup.records import Row


class Client(LineupCommands):
    """A line-up client that stays connected; made by :func:`connect`.

    Every method may be called from several tasks at once. A call that changes something
    gives its command an id and sends it until a final reply arrives: again over a new
    connection after a disconnect, and again after a retryable reply, always with the same
    id, so that it takes effect once. ``command_timeout`` bounds all attempts together; for a
    shorter time use a cancel scope. Before a :meth:`join` it takes effect in the retreat of its
    row, and without a base revision it overwrites nothing that another user wrote.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        connect_stream: ConnectStream,
        *,
        token: str | None,
        headers: Sequence[tuple[str, str]],
        options: ClientOptions,
    ) -> None:
        super().__init__(LineupView(), options.environment.uuid)
        self._connection = Reconnector(
            endpoint,
            connect_stream,
            headers=headers,
            options=options,
            auth=self._auth,
            on_event=self._view.receive,
            prepare=self._rejoin,
        )
        self._token = token
        self._slug: str | None = None
        self._joining = trio.Lock()
        self._command_timeout = options.command_timeout

    @property
    def rows(self) -> tuple[Row, ...]:
        """The retreat's rows as last seen, in list order; empty before a join."""
        return self._view.replica.rows

    @property
    def revision(self) -> int:
        """The room revision up to which everything has arrived; 0 before a join."""
        return self._view.replica.revision

    @property
    def epoch(self) -> str | None:
        """The opaque epoch that :attr:`revision` belongs to."""
        return self._view.replica.epoch

    @property
    def retreat(self) -> str | None:
        """Slug of the retreat joined, also while the connection is down."""
        return self._slug

    @property
    def connected(self) -> bool:
        """Whether there is a connection and, after a join, a room."""
        return self._connection.ready

    @property
    def failure(self) -> Exception | None:
        """Why the client has stopped connecting; ``None`` while it has not."""
        return self._connection.failure

    def row(self, registration_id: int) -> Row | None:
        """Return one row as last seen."""
        return self._view.replica.get(registration_id)

    def statistics(self) -> ClientStatistics:
        """Return counters; never blocks."""
        return ClientStatistics(
            connected=self._connection.ready,
            retreat=self._slug,
            rows=len(self._view.replica.rows),
            revision=self._view.replica.revision,
            unanswered=self._connection.pending,
            connections=self._connection.established,
            attempts=self._connection.attempts,
            resent=self._connection.resent,
            backward_merges=self._view.replica.backward_merges,
            last_loss=self._connection.last_loss,
        )

    def updates(self) -> UpdateFeed:
        """Return an iterator over all updates from now on.

        Any number of them may be read, each by one task. While its reader is slow, it queues
        at most one update per row.
        """
        feed = self._view.add_feed()
        if self._connection.closing:
            feed.end(self._connection.failure)
        return feed

    async def until(self, condition: Callable[[Client], bool]) -> None:
        """Wait until a condition holds; checked whenever something has arrived.

        :param condition: gets the client; e.g. ``lambda client: client.revision >= 7``.
            Only its author is notified of a revision that changes no row. While the client is
            slow, the rows and groups of one revision may arrive one by one.
        :raises ConnectError: nothing will arrive any more; so for any :attr:`failure`.
        :raises Disconnected: the client is closed.
        """
        while not condition(self):
            if self._connection.failure is not None:
                raise self._connection.failure
            if self._connection.closing:
                raise Disconnected("the client is closed")
            await self._view.wait_arrival()
        await trio.lowlevel.checkpoint()

    async def join(self, slug: str) -> tuple[Row, ...]:
        """Join a retreat's room, leaving the former one; return its rows.

        A join that fails leaves the client in the room it was in.

        :raises CommandFailed: e.g. ``RETREAT_NOT_FOUND``, ``FORBIDDEN``.
        :raises Disconnected: no connection lasted long enough.
        """
        async with self._joining:
            await self._call(
                ClientEvent.JOIN_RETREAT,
                lambda: self._join_argument(slug),
                partial(self._joined, slug),
                needs_ready=False,
            )
        return self.rows

    async def leave(self) -> None:
        """Leave the room, if in one. Raises as :meth:`join` does."""
        async with self._joining:
            slug, self._slug = self._slug, None
            if slug is None:
                await trio.lowlevel.checkpoint()
                return
            await self._call(ClientEvent.LEAVE_RETREAT, lambda: slug, _ignore, needs_ready=False)
            self._view.replica.clear()

    async def groups(self) -> tuple[ListedGroup, ...]:
        """Return the groups of the retreat joined, by number; empty ones, too.

        Raises as :meth:`join` does.
        """
        found: tuple[ListedGroup, ...] = ()

        def receive(reply: Reply) -> None:
            nonlocal found
            if reply.ok:
                found = reply.groups()

        await self._call(ClientEvent.GBS_LIST, dict, receive)
        return found

    async def mark_editing(
        self,
        registration_id: int,
        field: str | None = None,
        *,
        editing: bool = True,
    ) -> None:
        """Show other clients what this user is editing; the mark ends by itself after 10 s.

        :param field: ``gbsNumber`` or ``lineupMemo``; ``None``: the row.
        :param editing: ``False`` ends the mark.

        Raises as :meth:`join` does.
        """
        argument = {"lineupId": registration_id, "field": field, "editing": editing}
        await self._call(ClientEvent.USER_EDITING, lambda: argument, _ignore)

    async def authenticate(self, token: str) -> None:
        """Continue with a new token of the same user, now and after reconnections.

        Raises as :meth:`join` does; a token that was refused is not kept.
        """

        def keep(reply: Reply) -> None:
            if reply.ok:
                self._token = token

        await self._call(
            ClientEvent.AUTHENTICATE, lambda: {"token": token}, keep, needs_ready=False
        )

    async def _send(
        self, event: str, argument: object, command_id: UUID, on_reply: Callable[[Reply], None]
    ) -> Reply:
        return await self._call(event, lambda: argument, on_reply, command_id=command_id)

    async def _call(
        self,
        name: str,
        argument: Callable[[], object],
        on_reply: Callable[[Reply], None],
        *,
        needs_ready: bool = True,
        command_id: UUID | None = None,
    ) -> Reply:
        result = await self._connection.call(name, argument, on_reply, needs_ready=needs_ready)
        if result.reply is None:
            raise Disconnected(
                f"no answer to {name} within {self._command_timeout:g} s"
                f" ({self._connection.last_loss or 'still connected'})",
                command_id if result.sent else None,
            )
        if not result.reply.ok:
            raise result.reply.failure(command_id)
        return result.reply

    async def _rejoin(self, link: Link) -> None:
        """Rejoin the room before commands are sent on a new connection."""
        delays = self._connection.delays()
        while True:
            # Not held while it pauses: a room may stay closed, and the caller may join another.
            async with self._joining:
                slug = self._slug
                if slug is None:
                    return
                reply = await link.call(
                    ClientEvent.JOIN_RETREAT,
                    self._join_argument(slug),
                    partial(self._joined, slug),
                )
            if reply.final:
                break
            await trio.sleep(next(delays))
        if not reply.ok:
            self._end(reply.failure(None))

    def _auth(self) -> object:
        auth = {"updates": BATCH_FORM}
        return auth if self._token is None else {**auth, "token": self._token}

    def _join_argument(self, slug: str) -> dict[str, object]:
        if slug != self._slug or self.epoch is None:
            return {"retreatSlug": slug}
        return {"retreatSlug": slug, "since": self._view.replica.since, "epoch": self.epoch}

    def _joined(self, slug: str, reply: Reply) -> None:
        if not reply.ok:
            return
        rows = reply.rows()
        self._slug = slug
        if reply.full:
            self._view.replace(rows, reply.revision or 0, reply.epoch)
        else:
            self._view.merge(rows, reply.revision or 0)

    async def _run(self) -> None:
        await self._connection.run()
        self._end(self._connection.failure)

    async def _first_connection(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self._connection.wait_link(needs_ready=True)
            return
        reason = self._connection.last_loss or "no answer"
        raise Disconnected(f"no connection within {seconds:g} s ({reason})")

    async def _close(self) -> None:
        self._end()
        await self._connection.close()

    def _end(self, failure: Exception | None = None) -> None:
        self._connection.end(failure)
        self._view.end(failure)


def _ignore(reply: Reply) -> None:
    """Ignore a reply."""


@asynccontextmanager
async def connect(
    url: str,
    token: str | None = None,
    *,
    path: str = "/socket.io/",
    headers: Sequence[tuple[str, str]] = (),
    connect_timeout: float = 10.0,
    attempt_timeout: float = 10.0,
    command_timeout: float = 30.0,
    max_pending: int = 64,
    backoff: Backoff | None = None,
    tls_context: ssl.SSLContext | None = None,
    connect_stream: ConnectStream | None = None,
    environment: Environment = SYSTEM,
) -> AsyncIterator[Client]:
    """Connect to a server, and stay connected while the block runs.

    :param url: e.g. ``http://127.0.0.1:8080``; https and wss use TLS.
    :param token: sent in the Socket.IO ``CONNECT``; ``None``: none, for a server that
        takes a header or cookie.
    :param path: the server's Engine.IO path.
    :param headers: of the WebSocket handshake, e.g. ``("Cookie", "accessToken=…")``.
    :param connect_timeout: seconds until the first connection must be open, all attempts
        together.
    :param attempt_timeout: seconds for one attempt, from TCP to the namespace.
    :param command_timeout: seconds that a call waits for its reply, resending included.
    :param max_pending: events without an acknowledgement at a time; further calls wait.
    :param backoff: waiting times between attempts.
    :param tls_context: ``None``: the system's certificates.
    :param connect_stream: opens the byte stream in place of TCP, e.g. a memory stream.
    :param environment: where the ids of commands and jitter come from.
    :raises ConnectError: the server refused the token or the handshake.
    :raises Disconnected: no connection within ``connect_timeout``.
    :raises ValueError: ``url`` is not a server's.

    Leaving the block closes the connection, within a second; cancelled, at once.
    Exceptions of the block are raised unchanged, not in a group.
    """
    endpoint = Endpoint.of(url, path)
    client = Client(
        endpoint,
        connect_stream or tcp(endpoint, tls_context),
        token=token,
        headers=tuple(headers),
        options=ClientOptions(
            attempt_timeout=attempt_timeout,
            command_timeout=command_timeout,
            max_pending=max_pending,
            backoff=backoff or Backoff(),
            environment=environment,
        ),
    )
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client._run)
        try:
            await client._first_connection(connect_timeout)
            yield client
            await client._close()
        except BaseException as error:  # noqa: BLE001  (raised again below, outside the group)
            failure = error
        finally:
            client._end()
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
