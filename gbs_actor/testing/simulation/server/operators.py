"""An operator of the server: acts on rooms, clients and the process by requests."""

from __future__ import annotations

from collections import Counter
from typing import Final

from gbs_actor.roles import Role
from gbs_actor.testing.peers import PeerClosed
from gbs_actor.testing.server import LineupServer
from gbs_actor.testing.simulation.history import History, Kicked

TOKEN_LIFETIME: Final = 1e7
"""Seconds; longer than any jump of the wall clock."""
_OPERATOR: Final = 998
_ADDRESS: Final = "198.18.2.1"
_EXPECTED: Final = (200, 503)
"""Statuses: done, or not possible now."""


class Operator:
    """Does what an operator can do, as the history records it.

    :param counters: counts what was done.
    """

    def __init__(self, lineup: LineupServer, history: History, counters: Counter[str]) -> None:
        self._lineup = lineup
        self._history = history
        self._counters = counters

    async def act(self, path: str) -> bool:
        """Send a request; whether it is answered that it is done.

        :param path: below ``/admin``.
        """
        token = self._lineup.token(_OPERATOR, Role.ADMIN_MINISTER, expires_in=TOKEN_LIFETIME)
        fields = {"Authorization": f"Bearer {token}"}
        body = {"reason": "simulated"}
        try:
            reply = await self._lineup.http(
                "POST", f"/admin{path}", body, user=None, headers=fields, address=_ADDRESS
            )
        except (OSError, PeerClosed):
            self._counters["operator: no answer"] += 1
            return False
        self._counters[f"operator: {reply.status}"] += 1
        if reply.status not in _EXPECTED:
            self._history.problems.append(f"an operator's request for {path} gets {reply.status}")
        return reply.ok

    async def kick(self, user: int, *, http: bool) -> None:
        """Disconnect all clients of a user.

        :param http: whether by a request; else by what that calls.
        """
        self._counters["kick"] += 1
        self._history.record(Kicked(user, done=False))
        if not http:
            clients = self._lineup.composition.clients
            for client in clients.of_user(user):
                clients.kick(client)
        elif not await self.act(f"/users/{user}/kick"):
            return
        self._history.record(Kicked(user, done=True))
