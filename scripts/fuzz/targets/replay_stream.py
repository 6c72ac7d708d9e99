"""The stream that keeps time for an HTTP server: every byte once, and nobody waits for ever."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import Final

import trio
from trio.testing import lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked

from gbs_actor.socketio import HttpStream
from scripts.fuzz import trio_cases
from scripts.fuzz.choices import Choices
from scripts.fuzz.target import Target

IDLE: Final = 60.0
REQUEST: Final = 30.0
WRITE: Final = 20.0
REFUSAL: Final = 1.0

_PAUSES: Final = (0.0, 0.37, 5.11, 18.93, 29.29, 31.7, 58.83, 61.31, 203.9)  # never just a limit
_HEADS: Final = (b"", b"GET / HTTP/1.1\r\n\r\n", b"x")
_ENDED: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


def check(data: bytes) -> None:
    choices = Choices(data)
    order = choices.byte()

    async def scenario() -> None:
        await _Walk(choices).run()

    trio_cases.run(scenario, order)


class _Request:
    """One that is being answered."""

    def __init__(self, stream: HttpStream) -> None:
        self._block = ExitStack()
        self.arrived = self._block.enter_context(stream.answering())
        self.complete = False
        """Whether the stream waits for nothing more of it."""
        self.answered = self._block.close


class _Walk:
    """What a peer and an HTTP server do with one stream."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        near, self._far = (lockstep_stream_pair if choices.flip(4) else memory_stream_pair)()
        replay = choices.pick(_HEADS)
        self._stream = HttpStream(
            near, replay, idle_timeout=IDLE, request_timeout=REQUEST, write_timeout=WRITE
        )
        self._stuck = choices.flip(8)
        self._requests: list[_Request] = []
        self._latest: _Request | None = None
        self._to_come = replay
        self._came = b""
        self._sent = self._arrived = b""
        self._end: str | None = None

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read)
            if not self._stuck:
                nursery.start_soon(self._read_far)
            try:
                while self._choices.left:
                    await self._step()
                await self._see_the_end()
            finally:
                for request in self._requests:
                    request.answered()
            await trio.aclose_forcefully(self._stream)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert self._to_come.startswith(self._came), "bytes lost or doubled"
        assert self._end != "" or self._came == self._to_come, "an early end"
        assert self._sent.startswith(self._arrived)

    async def _see_the_end(self) -> None:
        """Say nothing more, and wait; of the requests, answer those that are complete."""
        for request in self._requests:
            if request.complete:
                request.answered()
        late = any(not request.complete for request in self._requests)
        limit = REQUEST + REFUSAL if late else REQUEST + REFUSAL + IDLE
        last = trio.current_time()
        while self._end is None:
            await trio.sleep(1)
            assert trio.current_time() - last < limit + 2, "nobody ends it"

    async def _step(self) -> None:
        choices = self._choices
        match choices.below(8):
            case 0 | 1:
                await wait_all_tasks_blocked()  # it may have been cut off just now
                await self._pause(choices.pick(_PAUSES))
            case 2 | 3:
                await self._say(choices.take(12) or b"-")
            case 4:
                # The next is read only behind the end of the one before.
                if self._latest is None or self._latest.complete:
                    self._latest = _Request(self._stream)
                    self._requests.append(self._latest)
            case 5:
                if self._requests:
                    request = choices.pick(self._requests)
                    request.arrived()
                    request.complete = True
            case 6:
                if self._requests:
                    answered = self._requests.pop(choices.below(len(self._requests)))
                    answered.answered()
                    answered.complete = True
            case _:
                await self._answer(choices.take(12) or b"-")

    async def _pause(self, seconds: float) -> None:
        """Nobody is cut off while all who ask have asked, and wait."""
        latest = self._latest
        safe = latest in self._requests and latest is not None and latest.complete
        safe = safe and self._end is None
        await trio.sleep(seconds)
        assert not safe or self._end is None, f"cut off while it waited: {self._end}"

    async def _say(self, data: bytes) -> None:
        try:
            with trio.move_on_after(1) as patience:
                await self._far.send_all(data)
        except _ENDED:
            await wait_all_tasks_blocked()
            assert self._end is not None
            return
        assert not patience.cancelled_caught or self._end is not None, "nobody reads"
        self._to_come += data

    async def _answer(self, data: bytes) -> None:
        started = trio.current_time()
        self._sent += data
        with suppress(_ENDED):
            await self._stream.send_all(data)
        assert trio.current_time() - started < WRITE + 0.01, "a write without end"

    async def _read(self) -> None:
        try:
            while True:
                received = await self._stream.receive_some(self._choices.pick((None, 1, 3, 100)))
                if not received:
                    self._end = ""
                    return
                self._came += received
        except _ENDED as error:
            self._end = str(error) or "closed"

    async def _read_far(self) -> None:
        try:
            while received := await self._far.receive_some():
                self._arrived += received
        except _ENDED:
            pass


TARGET = Target("replay-stream", check, max_size=80, slice=400)
