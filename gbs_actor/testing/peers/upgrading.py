"""A client's Engine.IO that begins with long-polling and moves to a WebSocket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

import trio

from gbs_actor.testing.network import SimStream
from gbs_actor.testing.peers.messages import PeerRefused
from gbs_actor.testing.peers.polling import PollingTransport
from gbs_actor.testing.peers.transport import Dial, Transport, TransportClosed
from gbs_actor.testing.peers.websocket import WebSocketTransport

_PROBE: Final = "2probe"
_PROBE_ACK: Final = "3probe"
_UPGRADE: Final = "5"


class UpgradingTransport:
    """A session that goes on over long-polling while it tries a WebSocket; see :meth:`open`.

    So ``socket.io-client`` does by default. If the server refuses the WebSocket, or it breaks, the
    session stays with long-polling.
    """

    def __init__(self, polling: PollingTransport) -> None:
        self._polling = polling
        self._carrier: Transport = polling
        self._probed: WebSocketTransport | None = None
        """The WebSocket to go on with, from the next receive."""
        self._probing = trio.CancelScope()
        self._sending = trio.Lock()

    @classmethod
    async def open(
        cls, nursery: trio.Nursery, dial: Dial, path: str, *, headers: Mapping[str, str]
    ) -> Self:
        """Open a session, and begin to try a WebSocket.

        :param nursery: runs the task that tries; :meth:`close_now` ends it.
        :raises PeerRefused: the server refuses the session, or the stream ends.
        """
        upgrading = cls(await PollingTransport.open(dial, path, headers=headers))
        nursery.start_soon(upgrading._probe, dial, path, headers)
        return upgrading

    @property
    def stream(self) -> SimStream:
        """That of the polls at first, then the WebSocket's."""
        return self._carrier.stream

    @property
    def upgraded(self) -> bool:
        """Whether it has moved to the WebSocket."""
        return self._carrier is not self._polling

    async def send(self, *messages: str | bytes) -> None:
        """See :class:`Transport`."""
        async with self._sending:
            await self._carrier.send(*messages)

    async def receive(self) -> list[str | bytes]:
        """See :class:`Transport`."""
        if self._probed is not None:  # and no poll is in flight
            await self._move(self._probed)
        return await self._carrier.receive()

    async def aclose(self) -> None:
        """See :class:`Transport`."""
        self._give_up()
        async with self._sending:
            await self._carrier.aclose()

    def close_now(self) -> None:
        """See :class:`Transport`."""
        self._give_up()
        self._polling.close_now()
        self._carrier.close_now()

    async def _probe(self, dial: Dial, path: str, headers: Mapping[str, str]) -> None:
        resource = f"{path}?EIO=4&transport=websocket&sid={self._polling.sid}"
        with self._probing:
            try:
                websocket = await WebSocketTransport.open(await dial(), resource, headers=headers)
            except (PeerRefused, OSError):
                return
            try:
                await websocket.send(_PROBE)
                if await websocket.receive() == [_PROBE_ACK]:
                    self._probed = websocket
            except TransportClosed:
                pass
            finally:
                if self._probed is None:
                    websocket.close_now()

    async def _move(self, websocket: WebSocketTransport) -> None:
        async with self._sending:  # and so no POST is in flight either
            self._carrier, self._probed = websocket, None
            await websocket.send(_UPGRADE)
        self._polling.close_now()

    def _give_up(self) -> None:
        """Stay with the present transport."""
        self._probing.cancel()
        if self._probed is not None:
            self._probed.close_now()
            self._probed = None
