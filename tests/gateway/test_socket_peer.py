from __future__ import annotations

from typing import cast

from gbs_actor.gateway.namespace.peer import SocketIOFormat, SocketPeer
from gbs_actor.rooms import SinkStatistics
from gbs_actor.socketio import OutboxStatistics, Socket


class LaggingSocket:
    """A socket as far as its statistics go; also its session."""

    transport = "polling"
    round_trip = 0.5

    @property
    def session(self) -> LaggingSocket:
        return self

    def statistics(self) -> OutboxStatistics:
        return OutboxStatistics(
            queued=1,
            queued_bytes=2,
            conflated=3,
            behind_for=4.0,
            sent_messages=5,
            sent_bytes=6,
        )


def test_a_peer_tells_how_far_behind_its_socket_is() -> None:
    peer = SocketPeer(cast(Socket, LaggingSocket()), SocketIOFormat("/gbs-lineup"))
    assert peer.statistics() == SinkStatistics(
        queued=1,
        queued_bytes=2,
        conflated=3,
        behind_for=4.0,
        protocol="socket.io",
        transport="polling",
        round_trip=0.5,
    )
