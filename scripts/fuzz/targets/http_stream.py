"""The stream that keeps time for an HTTP server: every byte once, and nobody waits for ever."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import Final

import trio
from trio.testing import lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked

from gbs_actor.socketio import HttpStream
from scripts.fuzz.choices import Choices
from scripts.fuzz.running import Target
from scripts.fuzz.simulation import simulate

_IDLE: Final = 60.0
_REQUEST: Final = 30.0
_WRITE: Final = 20.0
_GRACE: Final = 1.0
"""Seconds that the HTTP server has to refuse a slow request by itself."""
_PAUSES: Final = (0.0, 0.37, 5.11, 18.93, 29.29, 31.7, 58.83, 61.31, 203.9)  # never just a limit
_HEADS: Final = (b"GET / HTTP/1.1\r\n\r\n", b"", b"x")
_ENDED: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


def check(choices: Choices) -> None:
    order = choices.below(256)

    async def scenario() -> None:
        await _Exchange(choices).run()

    simulate(scenario, order)


class _Request:
    """One that is being answered."""

    def __init__(self, stream: HttpStream) -> None:
        block = ExitStack()
        self._arrived = block.enter_context(stream.answering())
        self.complete = False
        self.answered = block.close

    def arrive(self) -> None:
        self._arrived()
        self.complete = True


class _Exchange:
    """What a peer and an HTTP server do with one stream."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._far: trio.abc.HalfCloseableStream
        near, self._far = lockstep_stream_pair() if choices.chance(4) else memory_stream_pair()
        replay = choices.pick(_HEADS)
        self._stream = HttpStream(
            near, replay, idle_timeout=_IDLE, request_timeout=_REQUEST, write_timeout=_WRITE
        )
        self._stuck = choices.chance(8)
        """Whether the peer takes nothing."""
        self._request: _Request | None = None
        """The one that is being answered; there is no other meanwhile (RFC 9112 §9.3)."""
        self._written_by_peer = replay
        self._received = b""
        self._written = self._received_by_peer = b""
        self._end: str | None = None
        """Why nothing more is received; "" where the peer has ended it."""

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._receive)
            if not self._stuck:
                nursery.start_soon(self._receive_as_peer)
            try:
                for _ in self._choices.times(20):
                    await self._step()
                await self._wait_for_end()
            finally:
                self._answer()
            await trio.aclose_forcefully(self._stream)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert self._written_by_peer.startswith(self._received), "bytes lost or doubled"
        assert self._end != "" or self._received == self._written_by_peer, "an early end"
        assert self._written.startswith(self._received_by_peer)

    async def _step(self) -> None:
        choices = self._choices
        match choices.below(7):
            case 0 | 1:
                await wait_all_tasks_blocked()  # the stream may have ended just now
                await self._pause(choices.pick(_PAUSES))
            case 2 | 3:
                await self._send_as_peer(choices.bytes(12) or b"-")
            case 4 if self._request is None:
                self._request = _Request(self._stream)
            case 5 if self._request is not None:
                self._request.arrive()
            case 6 if self._request is not None:
                self._answer()
            case _:
                await self._send(choices.bytes(12) or b"-")

    async def _pause(self, seconds: float) -> None:
        """Nobody is cut off who has sent all of its request, and waits for the response."""
        request = self._request
        safe = request is not None and request.complete and self._end is None
        await trio.sleep(seconds)
        assert not safe or self._end is None, f"cut off while it waited: {self._end}"

    async def _wait_for_end(self) -> None:
        """Send nothing more; answer the request if it is complete."""
        late = self._request is not None and not self._request.complete
        if not late:
            self._answer()
        limit = _REQUEST + _GRACE + (0 if late else _IDLE)
        with trio.move_on_after(limit + 2) as scope:
            while self._end is None:
                await trio.sleep(1)
        assert not scope.cancelled_caught, "nobody ends it"

    def _answer(self) -> None:
        if self._request is not None:
            self._request.answered()
            self._request = None

    async def _send_as_peer(self, data: bytes) -> None:
        try:
            with trio.move_on_after(1) as scope:
                await self._far.send_all(data)
        except _ENDED:
            await wait_all_tasks_blocked()
            assert self._end is not None
            return
        assert not scope.cancelled_caught or self._end is not None, "nobody reads"
        self._written_by_peer += data

    async def _send(self, data: bytes) -> None:
        started = trio.current_time()
        self._written += data
        with suppress(*_ENDED):
            await self._stream.send_all(data)
        assert trio.current_time() - started < _WRITE + 0.01, "a write without end"

    async def _receive(self) -> None:
        try:
            while True:
                received = await self._stream.receive_some(self._choices.pick((None, 1, 3, 100)))
                if not received:
                    self._end = ""
                    return
                self._received += received
        except _ENDED as error:
            self._end = str(error) or "closed"

    async def _receive_as_peer(self) -> None:
        with suppress(*_ENDED):
            while received := await self._far.receive_some():
                self._received_by_peer += received


TARGET = Target("http-stream", check, slice=60)
