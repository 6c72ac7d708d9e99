"""Takes one snapshot of a server after the other."""

from __future__ import annotations

import msgspec

from gbs_actor.cli.admin_client import AdminRequestFailed
from gbs_actor.cli.failures import CommandFailed
from gbs_actor.cli.top.snapshot import MAX_ROOMS, AdminReader, Rates, Snapshot, take
from gbs_actor.cli.top.view import View


class Watch:
    """A server that is looked at.

    :param view: what is asked for; may change between two looks.
    :param node: the one of several servers that is shown; ``None``: the rooms of all, and the
        figures of the one that is asked first, or once that is gone, of the one asked then.
    """

    def __init__(self, client: AdminReader, view: View, node: str | None = None) -> None:
        self.view = view
        self.snapshot: Snapshot | None = None
        """The last one."""
        self.rates: Rates | None = None
        """Between the last two; ``None`` if they do not tell."""
        self._client = client
        self._shows_server: bool | None = None
        self._node = self._shown_node = node

    async def look(self, rooms: int) -> Snapshot:
        """Take a snapshot.

        :param rooms: how many, at most.
        :raises CommandFailed: the server does not answer, or refuses.
        """
        if self._shows_server is None:
            session = await self._client.get("/session")
            self._shows_server = session["retreats"] is None
            if self._shows_server and self._node is None:
                self._shown_node = session.get("node")
        query = dict(self.view.query(max(1, min(rooms, MAX_ROOMS))))
        if self._node is not None:
            query["node"] = self._node
        try:
            snapshot = await take(
                self._client, query, whole=self._shows_server, node=self._shown_node
            )
        except msgspec.ValidationError as error:
            raise CommandFailed(f"The server is of another version: {error}.") from None
        except AdminRequestFailed as failed:
            if failed.status == 404:
                self._shows_server = None  # the server is gone: the next look is at another one
            raise
        self.rates = Rates.between(self.snapshot, snapshot)
        self.snapshot = snapshot
        return snapshot
