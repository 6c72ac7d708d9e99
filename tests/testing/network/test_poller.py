"""The simulated poller reports what epoll does."""

from __future__ import annotations

import errno
import select
import socket as stdlib
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.testing.network import (
    Address,
    Conditions,
    Descriptors,
    SimPoller,
    SimSocket,
    socket_pair,
)

CLIENT, SERVER = Address("192.0.2.7", 40_000), Address("198.51.100.1", 443)
IN, OUT, ERR, HUP, RDHUP = 0x001, 0x004, 0x008, 0x010, 0x2000
PAIRS = 3

linux = pytest.mark.skipif(not hasattr(select, "epoll"), reason="there is no epoll here")


class World:
    """The server's ends of some connections in a poller, and their clients."""

    def __init__(self, poller: Any, pairs: list[tuple[Any, Any]]) -> None:
        self.poller = poller
        self.ends = [end for pair in pairs for end in pair]
        self.numbers = [end.fileno() for end in self.ends]

    def report(self) -> dict[int, int]:
        """Return the events of each connection that is ready."""
        found = self.poller.poll(0, 100)
        return {self.numbers.index(fd): events for fd, events in found}

    def attempt(self, do: Callable[[], object]) -> object:
        """Return the result of an operation, or what it raises."""
        try:
            return do()
        except OSError as error:
            return errno.errorcode[error.errno or 0]

    def fill(self, number: int) -> object:
        """Send until there is no room."""
        try:
            while True:
                self.ends[number].send(b"x" * 10_000)
        except BlockingIOError:
            return "full"

    def drain(self, number: int) -> object:
        """Receive until nothing is there; return whether the stream has ended."""
        try:
            while self.ends[number].recv(1 << 20):
                pass
        except BlockingIOError:
            return "open"
        return "ended"

    def apply(self, name: str, number: int, mask: int) -> object:
        end, fd = self.ends[number], self.numbers[number]
        match name:
            case "register":
                return self.attempt(lambda: self.poller.register(fd, mask))
            case "modify":
                return self.attempt(lambda: self.poller.modify(fd, mask))
            case "unregister":
                return self.attempt(lambda: self.poller.unregister(fd))
            case "send":
                return self.attempt(lambda: end.send(b"abc"))
            case "fill":
                return self.attempt(lambda: self.fill(number))
            case "receive":
                return self.attempt(lambda: end.recv(2))
            case "drain":
                return self.attempt(lambda: self.drain(number))
            case "shutdown":
                return self.attempt(lambda: end.shutdown(stdlib.SHUT_WR))
            case "close":
                return self.attempt(end.close)
        raise AssertionError(name)


def simulated_world(random: Random | None = None) -> World:
    descriptors = Descriptors()
    pairs = [socket_pair(CLIENT, SERVER) for _ in range(PAIRS)]
    for pair in pairs:
        for end in pair:
            descriptors.add(end)
    return World(SimPoller(descriptors, random), pairs)


def kernel_world() -> World:
    """Return one with sockets of the loopback interface."""
    pairs = []
    with stdlib.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_RCVBUF, 16_384)  # no automatic tuning
        for _ in range(PAIRS):
            client = stdlib.socket()
            client.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_RCVBUF, 16_384)
            client.connect(listener.getsockname())
            pairs.append((client, listener.accept()[0]))
    for pair in pairs:
        for end in pair:
            end.setblocking(False)
            end.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_SNDBUF, 16_384)
            end.setsockopt(stdlib.IPPROTO_TCP, stdlib.TCP_NODELAY, 1)
    return World(select.epoll(), pairs)


def is_full(end: SimSocket) -> bool:
    return not end.events() & OUT


def soon(
    expected: object, kernel: World, step: tuple[str, int, int], full: Sequence[int]
) -> object:
    """Return the result of a step and what is reported then, as soon as they are as expected.

    The kernel may take a moment until bytes have arrived, and finds room again once they have.

    :param full: the ends that should have no room.
    """
    deadline = time.monotonic() + 3.0
    result = kernel.apply(*step)
    while (found := (result, kernel.report())) != expected and time.monotonic() < deadline:
        time.sleep(0.001)
        if step[0] == "drain":
            result = kernel.apply(*step)
        for number in full:
            kernel.apply("fill", number, 0)
    return found


OPERATIONS = (
    "register", "modify", "unregister", "send", "send", "fill", "receive", "drain", "shutdown",
    "close",
)  # fmt: skip
MASKS = (0, IN, OUT, IN | OUT, IN | RDHUP)

operations = st.lists(
    st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 2 * PAIRS - 1), st.sampled_from(MASKS)),
    max_size=30,
)


@linux
@settings(max_examples=200)
@given(operations)
def test_it_reports_what_epoll_reports(script: list[tuple[str, int, int]]) -> None:
    simulated, kernel = simulated_world(), kernel_world()
    try:
        for number in range(2 * PAIRS):
            for world in (simulated, kernel):
                world.apply("register", number, IN | OUT)
        for step in script:
            if step[0] in {"send", "shutdown", "close"} and is_full(simulated.ends[step[1]]):
                continue  # the kernel may find a little room, and sends the end behind all else
            result = simulated.apply(*step)
            expected = result, simulated.report()
            full = [number for number, end in enumerate(simulated.ends) if is_full(end)]
            assert soon(expected, kernel, step, full) == expected, step
    finally:
        for end in kernel.ends:
            end.close()
        kernel.poller.close()


def simulated_ends(count: int) -> tuple[Descriptors, list[SimSocket], list[SimSocket]]:
    """Return clients' and servers' ends; the latter have numbers."""
    descriptors = Descriptors()
    clients, servers = zip(*(socket_pair(CLIENT, SERVER) for _ in range(count)), strict=True)
    for server in servers:
        descriptors.add(server)
    return descriptors, list(clients), list(servers)


def test_the_lowest_free_number_is_used_next() -> None:
    descriptors, _, servers = simulated_ends(4)
    numbers = [server.fileno() for server in servers]
    assert numbers == list(range(numbers[0], numbers[0] + 4))
    for number in (2, 1):
        servers[number].close()
        assert servers[number].fileno() == -1
    for expected in (*numbers[1:3], numbers[3] + 1):
        _, other = socket_pair(CLIENT, SERVER)
        descriptors.add(other)
        assert other.fileno() == expected


def test_a_number_that_is_used_again_is_not_registered() -> None:
    descriptors, clients, servers = simulated_ends(1)
    poller = SimPoller(descriptors)
    fd = servers[0].fileno()
    poller.register(fd, IN)
    clients[0].send(b"x")
    servers[0].close()
    client, server = socket_pair(CLIENT, SERVER)
    descriptors.add(server)
    assert server.fileno() == fd
    client.send(b"x")
    assert poller.poll(0, 10) == []
    with pytest.raises(FileNotFoundError):
        poller.modify(fd, IN)


def test_the_number_of_a_closed_socket_is_none() -> None:
    descriptors, _, servers = simulated_ends(1)
    fd = servers[0].fileno()
    servers[0].close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        SimPoller(descriptors).register(fd, IN)
    for use in (lambda: servers[0].recv(1), lambda: servers[0].send(b"x"), servers[0].getpeername):
        with pytest.raises(OSError, match="Bad file descriptor"):
            use()


def test_a_socket_is_reported_as_long_as_it_is_ready_and_each_has_its_turn() -> None:
    descriptors, clients, servers = simulated_ends(3)
    poller = SimPoller(descriptors)
    for client, server in zip(clients, servers, strict=True):
        poller.register(server.fileno(), IN)
        client.send(b"x")
    reported = [fd for _ in range(6) for fd, _ in poller.poll(0, 1)]
    assert reported == 2 * [server.fileno() for server in servers]


def test_order_and_size_of_batches_depend_on_the_seed_alone() -> None:
    def batches(seed: int) -> list[list[tuple[int, int]]]:
        descriptors, clients, servers = simulated_ends(5)
        poller = SimPoller(descriptors, Random(seed))
        for client, server in zip(clients, servers, strict=True):
            poller.register(server.fileno(), IN)
            client.send(b"x")
        return [poller.poll(0, 4) for _ in range(20)]

    assert batches(1) == batches(1) != batches(2)
    assert {len(batch) for batch in batches(1)} == {1, 2, 3, 4}
    assert len({batch[0] for batch in batches(1)}) == 5


async def test_it_waits_until_a_socket_is_ready(autojump_clock: MockClock) -> None:
    descriptors = Descriptors()
    client, server = socket_pair(CLIENT, SERVER, Conditions(random=Random(1), latency=5.0))
    descriptors.add(server)
    poller = SimPoller(descriptors)
    poller.register(server.fileno(), IN)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poller.wait)
        await wait_all_tasks_blocked()
        client.send(b"x")
    assert 0 < trio.current_time() <= 5
    assert poller.poll(0, 1) == [(server.fileno(), IN)]


async def test_two_tasks_cannot_wait_for_one_poller() -> None:
    poller = SimPoller(Descriptors())
    with pytest.RaisesGroup(trio.BusyResourceError):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poller.wait)
            await wait_all_tasks_blocked()
            await poller.wait()


def test_a_send_that_is_blocked_by_chance_is_reported_as_possible() -> None:
    descriptors = Descriptors()
    _, server = socket_pair(CLIENT, SERVER, Conditions(random=Random(1), blocked_sends=1.0))
    descriptors.add(server)
    poller = SimPoller(descriptors)
    with pytest.raises(BlockingIOError):
        server.send(b"x")
    poller.register(server.fileno(), OUT)
    assert poller.poll(0, 1) == [(server.fileno(), OUT)]
    assert server.send(b"x") == 1
