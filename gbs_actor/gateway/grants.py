"""Looks up the roles of clients that are in rooms: grants change while they are connected."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Final

import trio

from gbs_actor.auth import Authorizer
from gbs_actor.gateway.client import Client
from gbs_actor.store.protocol import StoreError

logger = logging.getLogger(__name__)

MIN_INTERVAL: Final = 0.1
"""Seconds that a round takes at least."""


class GrantWatch:
    """One task that looks up, round after round, the roles of all clients in every room.

    A round is one query per room that has subscribers, one after another and spread over the
    round of :attr:`Authorizer.max_age <gbs_actor.auth.Authorizer.max_age>` seconds. So two lookups
    of a room are at most two rounds apart.

    :param clients: all clients of the server, as they come and go.
    :param set_role: called with each client and the role that it has in its room by now.
    """

    def __init__(
        self,
        clients: Collection[Client],
        authorizer: Authorizer,
        set_role: Callable[[Client, str], None],
    ) -> None:
        self._clients = clients
        self._authorizer = authorizer
        self._set_role = set_role
        self._interval = max(authorizer.max_age, MIN_INTERVAL)
        self._reachable = True
        self.failures = 0
        """Lookups that failed; the roles stayed as they were until the next round."""

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await self._run_round()

    async def _run_round(self) -> None:
        started = trio.current_time()
        rooms: dict[str, list[Client]] = {}
        for client in self._clients:
            slug = client.subscriber.room_slug
            if slug is not None:
                rooms.setdefault(slug, []).append(client)
        for number, (slug, clients) in enumerate(rooms.items(), 1):
            await self._look_up(slug, clients)
            await trio.sleep_until(started + self._interval * number / len(rooms))
        if not rooms:
            await trio.sleep(self._interval)

    async def _look_up(self, slug: str, clients: list[Client]) -> None:
        users = [client.user for client in clients]
        try:
            roles = await self._authorizer.current_roles(slug, users)
        except StoreError as error:
            self.failures += 1
            if self._reachable:
                logger.warning("roles stay as they are, and are looked up again: %s", error)
            self._reachable = False
            return
        self._reachable = True
        for client, user, role in zip(clients, users, roles, strict=True):
            # It may have left meanwhile, or authenticated, which looks up the role, too.
            if client.subscriber.room_slug == slug and client.user is user:
                self._set_role(client, role)
