"""A client's Engine.IO session that begins with long-polling and goes on over a WebSocket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

import trio

from gbs_actor.testing.network import SimStream
from gbs_actor.testing.peers.messages import PeerRefused
from gbs_actor.testing.peers.polling import PollingTransport
from gbs_actor.testing.peers.transport import Dial, TransportClosed
from gbs_actor.testing.peers.websocket import WebSocketTransport

PROBE_TIMEOUT: Final = 10.0
"""Seconds."""


class UpgradingTransport:
    """Polls until the server has answered a probe over a WebSocket; see :meth:`open`.

    If that cannot be opened, or breaks in the probe, the polling goes on.
    """

    def __init__(self, polling: PollingTransport, dial: Dial, path: str) -> None:
        self._polling = polling
        self._dial = dial
        self._path = path
        self._headers: Mapping[str, str] = {}
        self._websocket: WebSocketTransport | None = None
        self._tried = False
        self._switching = trio.Lock()

    @classmethod
    async def open(cls, dial: Dial, path: str, *, headers: Mapping[str, str]) -> Self:
        """Open a session.

        :raises PeerRefused: as :meth:`PollingTransport.open` does.
        """
        transport = cls(await PollingTransport.open(dial, path, headers=headers), dial, path)
        transport._headers = headers
        return transport

    @property
    def stream(self) -> SimStream:
        """The connection that the server's messages come by now."""
        return self._current.stream

    @property
    def upgraded(self) -> bool:
        """Whether the session is on the WebSocket."""
        return self._websocket is not None

    async def send(self, *messages: str | bytes) -> None:
        """See :class:`Transport`."""
        async with self._switching:
            await self._current.send(*messages)

    async def receive(self) -> list[str | bytes]:
        """See :class:`Transport`."""
        if self._tried or self._polling.has_first:
            return await self._current.receive()
        self._tried = True
        return await self._upgrade()

    async def aclose(self) -> None:
        """See :class:`Transport`."""
        await self._current.aclose()

    def close_now(self) -> None:
        """See :class:`Transport`."""
        self._polling.close_now()
        if self._websocket is not None:
            self._websocket.close_now()

    @property
    def _current(self) -> PollingTransport | WebSocketTransport:
        return self._polling if self._websocket is None else self._websocket

    async def _upgrade(self) -> list[str | bytes]:
        """Probe a WebSocket while polls go on; return what they have brought."""
        probed: list[WebSocketTransport] = []
        received: list[str | bytes] = []
        failure: TransportClosed | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._probe, probed)
            try:
                # The server answers each poll at once from the probe on.
                while not probed:
                    received += await self._polling.receive()
                    if received and received[-1] != "6":
                        break
            except TransportClosed as closed:
                failure = closed
                nursery.cancel_scope.cancel()
        if failure is not None:
            if not received:
                raise failure
        elif probed:
            async with self._switching:
                await probed[0].send("5")
                self._websocket = probed[0]
            self._polling.close_now()
        return received or ["6"]

    async def _probe(self, probed: list[WebSocketTransport]) -> None:
        resource = f"{self._path}?EIO=4&transport=websocket&sid={self._polling.sid}"
        websocket = None
        try:
            with trio.move_on_after(PROBE_TIMEOUT):
                stream = await self._dial()
                websocket = await WebSocketTransport.open(stream, resource, headers=self._headers)
                await websocket.send("2probe")
                if await websocket.receive() == ["3probe"]:
                    probed.append(websocket)
        except (PeerRefused, TransportClosed, OSError):
            pass
        finally:
            if websocket is not None and not probed:
                websocket.close_now()
