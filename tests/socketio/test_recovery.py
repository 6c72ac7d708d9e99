"""Connection state recovery out of memory, over WebSocket and over polls."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import ConnectError, MemoryRecovery, Namespace, Socket, SocketServer
from tests.socketio.lines import Carrier, Line
from tests.socketio.polls import Site, site

pytestmark = pytest.mark.usefixtures("drivers")

both = pytest.mark.parametrize("carrier", ["websocket", "polling"])
LATER = {"websocket": "polling", "polling": "websocket"}


class Service:
    """A server with one namespace whose sessions can be come back to."""

    def __init__(self, recovery: MemoryRecovery | None = None, **options: Any) -> None:
        self.server = SocketServer(**options)
        self.space: Namespace = self.server.namespace("/")
        self.recovery = MemoryRecovery() if recovery is None else recovery
        self.space.recovery = self.recovery
        self.ended: list[tuple[str, str]] = []
        self.connected: list[tuple[str, bool]] = []
        self.space.on_connect(self._connect)
        self.space.on_disconnect(lambda socket, why: self.ended.append((socket.id, why)))
        self.space.on("echo")(lambda socket, *values: socket.emit("echo", *values))
        self.space.on("leave me")(lambda socket: socket.disconnect())

    def _connect(self, socket: Socket, auth: Any) -> None:
        self.connected.append((socket.id, socket.recovered))

    @property
    def socket(self) -> Socket:
        (socket,) = self.space.sockets
        return socket


async def begun(
    clients: Site, service: Service, carrier: Carrier
) -> tuple[Line, dict[str, Any], str]:
    """Return a client that has received one event: its line, CONNECT answer and offset."""
    line = await Line.open(clients, carrier)
    answer = await line.connect()
    service.space.emit("news", 0)
    name, value, offset = await line.event()
    assert (name, value) == ("news", 0)
    return line, answer, offset


async def returned(
    clients: Site, carrier: Carrier, answer: dict[str, Any], offset: Any
) -> tuple[Line, dict[str, Any]]:
    line = await Line.open(clients, carrier)
    return line, await line.connect({"pid": answer["pid"], "offset": offset})


# What a client is told


@both
async def test_connect_is_answered_with_a_secret_beside_the_id(
    clock: MockClock, carrier: Carrier
) -> None:
    service = Service()
    async with site(service.server) as clients:
        answer = await (await Line.open(clients, carrier)).connect()
        assert set(answer) == {"sid", "pid"}
        assert answer["sid"] not in answer["pid"]
        assert len(answer["pid"]) >= 20


@both
async def test_every_event_without_an_ack_ends_with_an_offset(
    clock: MockClock, carrier: Carrier
) -> None:
    service = Service()
    async with site(service.server) as clients:
        line, _, first = await begun(clients, service, carrier)
        service.socket.emit("nothing")
        service.socket.emit("text", "a")
        service.space.emit("values", 1, {"deep": ["b"]})
        offsets = [first]
        for expected in (["nothing"], ["text", "a"], ["values", 1, {"deep": ["b"]}]):
            *event, offset = await line.event()
            assert event == expected
            offsets.append(offset)
        assert all(isinstance(offset, str) for offset in offsets)
        assert len(set(offsets)) == 4


async def test_an_event_that_asks_for_an_ack_has_no_offset(clock: MockClock) -> None:
    service = Service()
    async with site(service.server) as clients, trio.open_nursery() as nursery:
        line, _, _ = await begun(clients, service, "websocket")
        nursery.start_soon(lambda: service.socket.call("question", "now?", timeout=5))
        assert await line.hear() == '420["question","now?"]'
        await line.say("430[1]")


async def test_a_volatile_event_gets_an_offset_only_where_its_end_would_be_taken_for_one(
    clock: MockClock,
) -> None:
    service = Service()
    async with site(service.server) as clients:
        line, _, offset = await begun(clients, service, "websocket")
        for event, arrives in (
            (["position", 1, 2], ["position", 1, 2]),
            (["position", "here"], ["position", "here", offset]),
            (["moved"], ["moved", offset]),
        ):
            await wait_all_tasks_blocked()
            service.socket.emit_volatile(*event)
            assert await line.event() == arrives


async def test_bytes_go_with_an_offset_too(clock: MockClock) -> None:
    service = Service()
    async with site(service.server) as clients:
        line, _, _ = await begun(clients, service, "polling")
        service.space.emit("bytes", b"\x01")
        head, attachment = await line.hear(), await line.hear()
        assert head.startswith('451-["bytes",{"_placeholder":true,"num":0},"')
        assert attachment == "bAQ=="


async def test_without_recovery_there_is_neither_a_secret_nor_an_offset(clock: MockClock) -> None:
    service = Service()
    service.space.recovery = None
    async with site(service.server) as clients:
        line = await Line.open(clients, "websocket")
        assert set(await line.connect({"pid": "x", "offset": "1"})) == {"sid"}
        service.space.emit("news", "text")
        service.socket.emit("news")
        assert await line.event() == ["news", "text"]
        assert await line.event() == ["news"]


async def test_on_request_only_who_asks_gets_it(clock: MockClock) -> None:
    service = Service(MemoryRecovery(on_request=True))
    async with site(service.server) as clients:
        asking, other = [await Line.open(clients, "websocket") for _ in range(2)]
        assert set(await asking.connect({"recovery": True})) == {"sid", "pid"}
        assert set(await other.connect({"recovery": "yes"})) == {"sid"}
        service.space.emit("news", "text")
        assert (await asking.event())[:2] == ["news", "text"]
        assert await other.event() == ["news", "text"]


# Coming back


@both
@pytest.mark.parametrize("later", ["same", "other"])
async def test_who_comes_back_is_who_it_was_and_gets_what_it_missed_in_order(
    clock: MockClock, carrier: Carrier, later: str
) -> None:
    service = Service()
    async with site(service.server) as clients:
        line, answer, offset = await begun(clients, service, carrier)
        await line.cut()
        await wait_all_tasks_blocked()
        assert service.ended == [(answer["sid"], "transport close")]
        for number in (1, 2, 3):
            service.space.emit("news", number)
        carrier = carrier if later == "same" else LATER[carrier]  # type: ignore[assignment]
        line, again = await returned(clients, carrier, answer, offset)
        assert again == answer
        assert service.connected == [(answer["sid"], False), (answer["sid"], True)]
        offsets = [offset]
        for number in (1, 2, 3):
            name, value, offset = await line.event()
            assert (name, value) == ("news", number)
            offsets.append(offset)
        assert offsets == sorted(set(offsets), key=int)
        service.space.emit("news", 4)
        assert (await line.event())[:2] == ["news", 4]
        await line.say('42["echo",5]')
        assert (await line.event())[:2] == ["echo", 5]


async def test_it_can_be_done_again_and_again(clock: MockClock) -> None:
    service = Service()
    async with site(service.server) as clients:
        line, answer, offset = await begun(clients, service, "websocket")
        for number in range(1, 6):
            await line.cut()
            await wait_all_tasks_blocked()
            service.space.emit("news", number)
            line, again = await returned(clients, "websocket", answer, offset)
            assert again == answer
            name, value, offset = await line.event()
            assert (name, value) == ("news", number)
        assert service.recovery.statistics().restored == 5


async def test_what_was_sent_to_it_alone_and_did_not_arrive_comes_again(clock: MockClock) -> None:
    service = Service()
    async with site(service.server) as clients:
        line, answer, offset = await begun(clients, service, "polling")
        other = await Line.open(clients, "websocket")
        await other.connect()
        mine = next(each for each in service.space.sockets if each.id == answer["sid"])
        theirs = next(each for each in service.space.sockets if each is not mine)
        mine.emit("mine", 1)
        theirs.emit("theirs", 1)
        service.space.emit("all", 1)
        await line.cut()  # nothing of this was fetched
        line, again = await returned(clients, "polling", answer, offset)
        assert again == answer
        assert [(await line.event())[0] for _ in range(2)] == ["mine", "all"]


async def test_what_is_sent_while_it_is_let_in_comes_once_and_behind_what_was_missed(
    clock: MockClock,
) -> None:
    service = Service()
    go_on = trio.Event()

    @service.space.on_connect
    async def connect(socket: Socket, auth: Any) -> None:
        socket.emit("hello", socket.recovered)
        if socket.recovered:
            await go_on.wait()

    async with site(service.server) as clients, trio.open_nursery() as nursery:
        line = await Line.open(clients, "websocket")
        answer = await line.connect()
        *hello, offset = await line.event()
        assert hello == ["hello", False]
        await line.cut()
        await wait_all_tasks_blocked()
        service.space.emit("news", 1)
        line = await Line.open(clients, "websocket")

        async def come_back() -> None:
            assert await line.connect({"pid": answer["pid"], "offset": offset}) == answer

        nursery.start_soon(come_back)
        await wait_all_tasks_blocked()
        service.space.emit("news", 2)
        go_on.set()
        await wait_all_tasks_blocked()
        service.space.emit("news", 3)
        events = [await line.event() for _ in range(4)]
        assert [event[:2] for event in events] == [
            ["news", 1],
            ["hello", True],
            ["news", 2],
            ["news", 3],
        ]
        await line.say('42["echo"]')
        assert (await line.event())[0] == "echo"


async def test_the_data_of_a_socket_is_handed_over(clock: MockClock) -> None:
    service = Service()
    async with site(service.server) as clients:
        line, answer, offset = await begun(clients, service, "websocket")
        service.socket.data.user = 7
        await line.cut()
        await wait_all_tasks_blocked()
        await returned(clients, "websocket", answer, offset)
        assert service.socket.data.user == 7


@both
async def test_a_connection_that_looks_alive_is_closed_and_taken_over(
    clock: MockClock, carrier: Carrier
) -> None:
    service = Service()
    gone_when_back: list[bool] = []

    @service.space.on_disconnect
    async def disconnected(socket: Socket, reason: str) -> None:
        await trio.sleep(1)
        service.ended.append((socket.id, reason))

    @service.space.on_connect
    def connect(socket: Socket, auth: Any) -> None:
        gone_when_back.append(bool(service.ended))

    async with site(service.server) as clients:
        former, answer, offset = await begun(clients, service, carrier)
        line, again = await returned(clients, carrier, answer, offset)
        assert again == answer
        assert service.ended == [(answer["sid"], "transport close")]
        assert gone_when_back == [False, True]
        await former.closed()
        service.space.emit("news", 1)
        assert (await line.event())[:2] == ["news", 1]
        assert len(service.space.sockets) == 1


async def test_of_several_that_come_back_at_once_one_goes_on_in_the_end(
    clock: MockClock,
) -> None:
    service = Service()
    back: list[tuple[Line, dict[str, Any]]] = []

    async with site(service.server) as clients:
        _, answer, offset = await begun(clients, service, "websocket")

        async def come_back() -> None:
            back.append(await returned(clients, "websocket", answer, offset))

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(come_back)
        assert len(back) == 3
        ids = [socket.id for socket in service.space.sockets]
        assert ids.count(answer["sid"]) == 1
        assert len(ids) == len(set(ids))


async def test_at_a_shutdown_of_the_server_sessions_end_like_any(clock: MockClock) -> None:
    service = Service()
    async with site(service.server) as clients:
        await begun(clients, service, "websocket")
    assert [why for _, why in service.ended] == ["server shutting down"]
    assert service.recovery.statistics().away == 1


# Not coming back


@both
@pytest.mark.parametrize(
    "offset", [None, "", "x", "-1", "01", " 0", "2", "99999999999999999999", 1, ["1"], "1" * 2_000]
)
async def test_no_offset_or_an_unknown_one_is_not_recovered(
    clock: MockClock, carrier: Carrier, offset: Any
) -> None:
    service = Service()
    async with site(service.server) as clients:
        line, answer, last = await begun(clients, service, carrier)
        assert last == "1"
        await line.cut()
        await wait_all_tasks_blocked()
        line, again = await returned(clients, carrier, answer, offset)
        assert set(again) == {"sid", "pid"}
        assert again["sid"] != answer["sid"]
        assert again["pid"] != answer["pid"]
        assert service.connected[-1] == (again["sid"], False)
        service.space.emit("news", 1)
        assert (await line.event())[:2] == ["news", 1]


@pytest.mark.parametrize("pid", [None, "", "x", 7, {"a": 1}, "\ud7ff\x00", "p" * 2_000])
async def test_a_pid_that_was_not_issued_is_not_recovered(clock: MockClock, pid: Any) -> None:
    service = Service()
    async with site(service.server) as clients:
        line, answer, offset = await begun(clients, service, "websocket")
        await line.cut()
        _, again = await returned(clients, "websocket", {"pid": pid}, offset)
        assert set(again) == {"sid", "pid"}
        assert again["sid"] != answer["sid"]


@both
async def test_not_after_a_disconnect_by_the_client(clock: MockClock, carrier: Carrier) -> None:
    service = Service()
    async with site(service.server) as clients:
        line, answer, offset = await begun(clients, service, carrier)
        await line.say("41")
        again = await line.connect({"pid": answer["pid"], "offset": offset})
        assert again["pid"] != answer["pid"]
        _, again = await returned(clients, carrier, answer, offset)
        assert again["pid"] != answer["pid"]


async def test_not_after_a_disconnect_that_the_server_had_no_time_to_handle(
    clock: MockClock,
) -> None:
    service = Service()

    @service.space.on("wait")
    async def wait(socket: Socket) -> None:
        await trio.sleep_forever()

    async with site(service.server) as clients:
        line, answer, offset = await begun(clients, service, "websocket")
        await line.say('42["wait"]')
        await line.say("41")
        await line.cut()
        await wait_all_tasks_blocked()
        assert service.ended == [(answer["sid"], "transport close")]
        _, again = await returned(clients, "websocket", answer, offset)
        assert again["pid"] != answer["pid"]


@both
async def test_not_after_a_disconnect_by_the_server(clock: MockClock, carrier: Carrier) -> None:
    service = Service()
    async with site(service.server) as clients:
        line, answer, offset = await begun(clients, service, carrier)
        await line.say('42["leave me"]')
        assert await line.hear() == "41"
        _, again = await returned(clients, carrier, answer, offset)
        assert again["pid"] != answer["pid"]


@pytest.mark.parametrize("broken", ["49", "42{}", "2", "x"])
async def test_not_after_a_parse_error(clock: MockClock, broken: str) -> None:
    service = Service()
    async with site(service.server) as clients:
        line, answer, offset = await begun(clients, service, "websocket")
        await line.say(broken)
        await line.closed()
        await wait_all_tasks_blocked()
        assert service.ended == [(answer["sid"], "parse error")]
        _, again = await returned(clients, "websocket", answer, offset)
        assert again["pid"] != answer["pid"]


@both
async def test_who_was_given_up_for_its_silence_comes_back(
    clock: MockClock, carrier: Carrier
) -> None:
    service = Service(ping_interval=10, ping_timeout=10)
    async with site(service.server) as clients:
        _, answer, offset = await begun(clients, service, carrier)
        await trio.sleep(25)
        assert [why for _, why in service.ended] == ["ping timeout"]
        _, again = await returned(clients, carrier, answer, offset)
        assert again == answer


async def test_who_was_away_for_too_long_is_not_recovered(clock: MockClock) -> None:
    service = Service(MemoryRecovery(max_disconnection=60))
    async with site(service.server) as clients:
        lines = [await begun(clients, service, "websocket") for _ in range(1)]
        line, answer, offset = lines[0]
        await line.cut()
        await trio.sleep(60)
        line, again = await returned(clients, "websocket", answer, offset)
        assert again == answer
        await line.cut()
        await trio.sleep(60.1)
        _, again = await returned(clients, "websocket", answer, offset)
        assert again["pid"] != answer["pid"]


async def test_who_has_missed_more_than_is_kept_is_not_recovered(clock: MockClock) -> None:
    service = Service(MemoryRecovery(max_messages=3))
    async with site(service.server) as clients:
        line, answer, offset = await begun(clients, service, "websocket")
        for missed, back in ((3, True), (4, False)):
            await line.cut()
            await wait_all_tasks_blocked()
            for number in range(missed):
                service.space.emit("news", number)
            line, again = await returned(clients, "websocket", answer, offset)
            assert (again == answer) is back
            for number in range(missed if back else 0):
                _, value, offset = await line.event()
                assert value == number
        assert service.recovery.statistics().messages == 3


async def test_of_those_away_the_first_are_forgotten_where_there_are_too_many(
    clock: MockClock,
) -> None:
    service = Service(MemoryRecovery(max_sessions=2))
    async with site(service.server) as clients:
        begun_ones = []
        for _ in range(3):
            line, answer, offset = await begun(clients, service, "websocket")
            await line.cut()
            await wait_all_tasks_blocked()
            begun_ones.append((answer, offset))
        assert service.recovery.statistics().away == 2
        back = [
            (await returned(clients, "websocket", answer, offset))[1] == answer
            for answer, offset in begun_ones
        ]
        assert back == [False, True, True]


async def test_a_new_session_gets_nothing_from_before_it_whatever_offset_it_shows(
    clock: MockClock,
) -> None:
    service = Service()
    async with site(service.server) as clients:
        line, answer, old = await begun(clients, service, "websocket")
        await line.say("41")
        await line.cut()
        service.space.emit("news", "between")
        line = await Line.open(clients, "websocket")
        answer = await line.connect()
        await line.cut()  # without having received anything
        await wait_all_tasks_blocked()
        service.space.emit("news", "missed")
        line, again = await returned(clients, "websocket", answer, old)
        assert again == answer
        assert (await line.event())[:2] == ["news", "missed"]


# Refusals and faults


async def test_on_connect_may_refuse_who_comes_back(clock: MockClock) -> None:
    service = Service()

    @service.space.on_connect
    def connect(socket: Socket, auth: Any) -> None:
        if socket.recovered:
            raise ConnectError("not you")

    async with site(service.server) as clients:
        line, answer, offset = await begun(clients, service, "websocket")
        await line.cut()
        await wait_all_tasks_blocked()
        line = await Line.open(clients, "websocket")
        await line.say(f'40{{"pid":"{answer["pid"]}","offset":"{offset}"}}')
        assert await line.hear() == '44{"message":"not you"}'
        assert service.space.sockets == ()
        _, again = await returned(clients, "websocket", answer, offset)
        assert again["pid"] != answer["pid"]


async def test_a_client_lost_while_it_is_let_in_can_come_back_again(clock: MockClock) -> None:
    service = Service()

    @service.space.on_connect
    async def connect(socket: Socket, auth: Any) -> None:
        if auth and auth.get("wait"):
            await trio.sleep_forever()

    async with site(service.server) as clients:
        line, answer, offset = await begun(clients, service, "websocket")
        await line.cut()
        await wait_all_tasks_blocked()
        line = await Line.open(clients, "websocket")
        await line.say(f'40{{"pid":"{answer["pid"]}","offset":"{offset}","wait":true}}')
        await wait_all_tasks_blocked()
        await line.cut()
        await wait_all_tasks_blocked()
        service.space.emit("news", 1)
        line, again = await returned(clients, "websocket", answer, offset)
        assert again == answer
        assert (await line.event())[:2] == ["news", 1]


class Slow(MemoryRecovery):
    """Takes its time over a session."""

    async def restore(self, socket: Socket, pid: str, offset: str) -> Any:
        await trio.sleep(60)


class Broken(MemoryRecovery):
    """Raises."""

    async def restore(self, socket: Socket, pid: str, offset: str) -> Any:
        raise ZeroDivisionError


class Strict(MemoryRecovery):
    """Refuses."""

    async def restore(self, socket: Socket, pid: str, offset: str) -> Any:
        raise ConnectError("go away", {"code": 1})


@pytest.mark.parametrize("recovery", [Slow, Broken])
async def test_a_recovery_that_fails_lets_clients_in_as_new_ones(
    clock: MockClock, recovery: type[MemoryRecovery]
) -> None:
    service = Service(recovery(), restore_timeout=10)
    async with site(service.server) as clients:
        line, answer, offset = await begun(clients, service, "websocket")
        await line.cut()
        before = trio.current_time()
        _, again = await returned(clients, "websocket", answer, offset)
        assert again["pid"] != answer["pid"]
        assert trio.current_time() - before <= 10


async def test_a_recovery_may_refuse_as_on_connect_would(clock: MockClock) -> None:
    service = Service(Strict())
    async with site(service.server) as clients:
        line = await Line.open(clients, "websocket")
        await line.say('40{"pid":"x","offset":"1"}')
        assert await line.hear() == '44{"message":"go away","data":{"code":1}}'
        assert service.connected == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(auth=st.fixed_dictionaries({}, optional={"pid": json_values, "offset": json_values}))
def test_whatever_a_client_shows_it_is_let_in(auth: dict[str, Any]) -> None:
    async def show() -> None:
        async with site(Service().server) as clients:
            line = await Line.open(clients, "websocket")
            assert set(await line.connect(auth)) == {"sid", "pid"}

    trio.run(show, clock=MockClock(autojump_threshold=0))
