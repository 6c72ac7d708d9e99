"""Test suites for what uses a line-up server: without a socket, a thread or a second of waiting.

A whole server, real but for the network, the store and chance::

    async def test_an_edit_reaches_the_others():
        async with lineup_server() as server:
            mina = await server.peer(user=1, join="winter")
            joon = await server.peer("plain", user=2, join="winter")
            reply = await mina.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
            assert reply.ok
            row = await joon.event("lineup-updated")
            assert (row["id"], row["gbsNumber"]) == (2, 3)

    trio.run(test_an_edit_reaches_the_others, clock=MockClock(autojump_threshold=0))

**Clock.** All deadlines are those of Trio's clock, and that is yours: a ``MockClock`` that jumps,
or one that a test moves, or the real one. The time of day, by which tokens expire, goes with it and
begins on 14 November 2023; ``server.wall.advance(3600)`` moves it alone. The same seed gives the
same tokens, ids and jitter; for the same order of tasks as well, run the test by
:func:`~gbs_actor.testing.scheduling.run`.

**Frameworks.** Plain Trio as above; pytest-trio; pytest with anyio on its Trio backend. The fixture
``lineup`` is in :mod:`gbs_actor.testing.pytest`.

**Who connects.** :meth:`LineupServer.peer`: a client that keeps what it receives, speaks
``"socketio"``, ``"polling"``, ``"upgraded"`` (from polling to a WebSocket, as stock clients do) or
``"plain"``, and shares no code with the server. :meth:`LineupServer.client`: the project's own
client; code that connects by itself reaches the server by ``connect(url, token,
connect_stream=server.connect_stream)``. :meth:`LineupServer.http`: one request.
:meth:`LineupServer.open_stream`: bytes.

**What to check.** ``await peer.event("lineup-updated")`` returns the next one, or fails after five
seconds of Trio's clock with a list of what came instead; ``await peer.no_event("error")`` fails if
there is one. ``await server.settle()`` lets everything happen that can happen now.
``peer.received`` has all in order, ``peer.named("lineup-updated")`` the payloads of one kind;
``await peer.reply(number)`` is the answer to what ``number = await peer.begin(…)`` sent, for events
that do not wait for each other. ``server.room("winter")`` has the figures of the room.

**What goes wrong.** ::

    server.store.fail(Fault.LOST_AFTER)                        # the next commit
    server.store.begin_outage(); server.store.end_outage()
    server.crash_room("winter", at=Tracepoint.COMMITTED)       # the next time it gets there
    await server.restart(kill=True)                            # or without kill: gracefully
    server.wall.advance(8 * 3600)                              # tokens expire
    peer.stream.cut(); peer.stream.pause(); peer.stream.split(1)
    await peer.reconnect()                                     # recovered, with recovery=True

**Your own Socket.IO server.** :func:`socket_server` serves a
:class:`~gbs_actor.socketio.SocketServer` with your namespaces and handlers::

    async with socket_server(server) as harness:
        peer = await harness.connect("/chat", auth={"name": "Mina"})
        assert await peer.call("say", "hello") == ("delivered",)

**From a seed.** :func:`simulate` runs a scenario in which a seed decides the order of tasks, all
ids, and what network and store do; the clock jumps. Run it from many::

    async def scenario(server: LineupServer) -> None:
        mina, joon = [await server.peer(user=user, join="winter") for user in (1, 2)]
        assert (await mina.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})).ok
        assert (await joon.event("lineup-updated"))["gbsNumber"] == 3

    @pytest.mark.parametrize("seed", range(100))
    def test_an_edit_reaches_the_others(seed):
        simulate(scenario, seed=seed)

Bytes are cut up anywhere, connections and store take up to 50 ms, a call of the store now and then
a second. Answers and events come all the same, in their order; wait for them by ``call`` and
``event``, since ``settle`` waits for no delay. ``faults=False``: nothing of it, but the order of
tasks. ``faults=("bytes", "latency", "slow", "store", "cuts")`` adds what a client has to handle:
commits that fail or whose answer is lost (a retryable code, or OUTCOME_UNKNOWN: repeat it after a
``trio.sleep``, since the clock stands while a task can run), and connections of peers that are
reset behind a message (:exc:`PeerClosed`). Whatever the scenario asserts, the
server's own rules are checked for what its peers see: the log, the order on each connection, the
contents of rows; :exc:`RuleBroken` is a fault of gbs-actor. An exception has a note with the line
that repeats it. The :class:`Trace` has ``hash``, ``received`` per peer, and all of it as text.

Exceptions in the block, a failed ``assert`` above all, are raised as they are, never in a group.
One in the server, or in a callback of yours, ends the block and is raised in its place.
"""

from gbs_actor.environment import Environment
from gbs_actor.roles import Role
from gbs_actor.rooms import RoomStatistics, Tracepoint
from gbs_actor.settings import Settings
from gbs_actor.store.seed.seed import (
    RetreatSeed,
    SeedGrade,
    SeedPerson,
    SeedSchedule,
    SeedUnivGroup,
)
from gbs_actor.testing.environment import SimWall, seeded_environment
from gbs_actor.testing.network import Conditions, SimStream
from gbs_actor.testing.peers import (
    HttpReply,
    Peer,
    PeerClosed,
    PeerRefused,
    Received,
    Reply,
    SocketPeer,
)
from gbs_actor.testing.restartable import RoomCrash
from gbs_actor.testing.server import LineupServer, lineup_server
from gbs_actor.testing.simulation import RuleBroken, Trace, simulate
from gbs_actor.testing.sockets import SocketHarness, socket_server
from gbs_actor.testing.store import Fault, SimStore

__all__ = [
    "Conditions",
    "Environment",
    "Fault",
    "HttpReply",
    "LineupServer",
    "Peer",
    "PeerClosed",
    "PeerRefused",
    "Received",
    "Reply",
    "RetreatSeed",
    "Role",
    "RoomCrash",
    "RoomStatistics",
    "RuleBroken",
    "SeedGrade",
    "SeedPerson",
    "SeedSchedule",
    "SeedUnivGroup",
    "Settings",
    "SimStore",
    "SimStream",
    "SimWall",
    "SocketHarness",
    "SocketPeer",
    "Trace",
    "Tracepoint",
    "lineup_server",
    "seeded_environment",
    "simulate",
    "socket_server",
]
