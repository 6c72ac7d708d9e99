"""A sink of a room over a real outbox, on a wire that takes so many bytes at a time."""

from __future__ import annotations

from collections.abc import Iterator

from gbs_actor.gateway.format import EventFormat
from gbs_actor.rooms import SinkStatistics
from gbs_actor.socketio import Message, Outbox, OutboxLimits
from gbs_actor.socketio.channel.wire import WEBSOCKET, Buffer
from gbs_actor.socketio.websocket.frame import split

ENDLESS = 1 << 60


class SimulatedSink:
    """One connection of a client in a room.

    :param direct: whether what it is sent is written at once, as on a plain socket.
    :param room: bytes that the connection takes before it is read.
    """

    def __init__(self, form: EventFormat, *, direct: bool, room: int) -> None:
        self.format = form
        self.wire = SimulatedWire(direct=direct, room=room)
        self.outbox = Outbox(self.wire, self, OutboxLimits())

    def deliver(self, message: Message) -> None:
        self.outbox.send(message)

    def hold(self) -> None:
        self.outbox.hold()

    def release(self) -> None:
        self.outbox.release()

    def close_restarting(self) -> None:
        raise AssertionError("no operator stops this room")

    def abort(self) -> None:
        raise AssertionError("a delivery or a reply failed")

    def statistics(self) -> SinkStatistics:
        return SinkStatistics(0, 0, 0, 0.0)

    def start_writer(self) -> None:
        """The test writes, when it says that the client reads."""

    def outbox_broken(self, error: BaseException) -> None:
        raise AssertionError("broken") from error

    def outbox_overflowed(self) -> None:
        raise AssertionError("overflowed")

    def outbox_congested(self) -> None:
        """Nothing is read less for it."""

    def outbox_drained(self) -> None:
        """See there."""


class SimulatedWire:
    """Takes so many bytes at a time."""

    encode = staticmethod(WEBSOCKET)
    separator = b""
    batch = 65_536
    batch_messages = 65_536
    immediate = True
    ready = True

    def __init__(self, *, direct: bool, room: int) -> None:
        self.direct = direct
        self.room = room
        self.taken = bytearray()

    def send_nowait(self, data: Buffer) -> int:
        size = min(len(data), self.room)
        if not size:
            raise BlockingIOError
        self.room -= size
        self.taken += data[:size]
        return size

    async def send_all(self, data: Buffer) -> None:
        raise NotImplementedError

    async def wait_writable(self) -> None:
        raise NotImplementedError

    def frames(self) -> Iterator[str]:
        """Take out the texts that have arrived as a whole."""
        whole = _whole(self.taken)
        frames = bytes(self.taken[:whole])
        del self.taken[:whole]
        for _, payload in split(frames):
            yield payload.decode()


def _whole(data: bytearray) -> int:
    at = 0
    while at + 2 <= len(data):
        length, start = data[at + 1], at + 2
        if length == 126:
            length, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        elif length == 127:
            length, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
        if start > len(data) or start + length > len(data):
            break
        at = start + length
    return at
