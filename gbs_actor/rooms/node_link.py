"""What the bus brings from the other servers, handed to the rooms that it is about, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import Final

import trio

from gbs_actor.bus import Bus, Hints, NodeMessage
from gbs_actor.bus.presence import requests
from gbs_actor.rooms.announcements import Announcements
from gbs_actor.rooms.anti_entropy import AntiEntropy
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.other_nodes import OtherNodes
from gbs_actor.rooms.presence import MarkChange
from gbs_actor.rooms.statistics import RoomState

GAP_PAUSE: Final = 0.1
"""Seconds between two comparisons of all rooms for gaps, at least: gaps may come without end."""
TOGETHER: Final = 0.05
"""Seconds for which a change of presence waits for others."""


class NodeLink:
    """Lets rooms catch up as soon as the bus has hints, and know who is there on other servers.

    It is what rooms know as :class:`~gbs_actor.rooms.elsewhere.OtherServers`.

    All that is here of another server goes when that says that it ends, or is not heard of for
    ten seconds. Where messages of it were lost, it is asked for the present state of all rooms.

    :param bus: run by others.
    :param handles: the open rooms, by slug.
    :param anti_entropy: compares all rooms where hints may have been lost.
    """

    def __init__(
        self, bus: Bus, handles: Mapping[str, RoomHandle], anti_entropy: AntiEntropy
    ) -> None:
        self._bus = bus
        self._handles = handles
        self._anti_entropy = anti_entropy
        self._announcements = Announcements(bus)
        self._nodes = OtherNodes()
        self._pause: trio.CancelScope | None = None
        bus.listen(self._receive)

    @property
    def other_servers(self) -> int:
        """How many servers there are whose presence is shown here."""
        return len(self._nodes)

    # -- for rooms

    def committed(self, retreat_id: int, epoch: str, revision: int) -> None:
        """Hint at what has been committed, if there is anybody to hint.

        Who is not heard of yet, or not any more, compares itself with the store.
        """
        if self._nodes:
            self._bus.publish(retreat_id, epoch, revision)

    def room_started(self, slug: str) -> None:
        """Note that a room runs, or runs again: ask who is there."""
        handle = self._handles[slug]
        version = handle.version
        assert version is not None
        self._announcements.open(version.id, handle)
        self._nodes.miss(version.id, trio.current_time())
        self._wake()

    def room_closed(self, slug: str) -> None:
        """Note that nothing is left of a room."""
        retreat_id = self._announcements.close(slug)
        if retreat_id is not None:
            self._nodes.close(retreat_id)

    def people_changed(self, slug: str) -> None:
        """Note that somebody has joined a room here, or left it."""
        self._announcements.change(slug)
        self._wake()

    def marks_changed(self, slug: str, changes: Iterable[MarkChange]) -> None:
        """Send what those in a room here are sent of editing marks."""
        self._announcements.send_marks(slug, changes)

    # -- tasks

    async def follow(self) -> None:
        """Pass hints on until cancelled."""
        gap, compare_at = False, -inf
        while True:
            hints = Hints((), gap=False)
            with trio.move_on_at(compare_at if gap else inf):
                hints = await self._bus.next()
            gap |= hints.gap
            if gap and trio.current_time() >= compare_at:
                gap, compare_at = False, trio.current_time() + GAP_PAUSE
                await self._anti_entropy.try_compare()
            rooms = {
                version.id: room
                for room in self._handles.values()
                if (version := room.version) is not None
            }
            for hint in hints.latest:
                if (hinted := rooms.get(hint.retreat_id)) is not None:
                    hinted.heed(hint)

    async def run(self) -> None:
        """Send and ask for what is due, and remove who is silent, until cancelled."""
        while True:
            now = trio.current_time()
            for node in self._nodes.silent(now):
                self._remove(node)
            self._announcements.send_due(now)
            for nodes, retreat_ids in self._nodes.requests(self._announcements.retreat_ids, now):
                for request in requests(nodes, retreat_ids):
                    self._bus.send(request)
            until = min(self._announcements.due(), self._nodes.due())
            with trio.CancelScope(deadline=max(until, now + TOGETHER)) as self._pause:
                await trio.sleep_forever()

    def _wake(self) -> None:
        """Let :meth:`run` look soon for what is due."""
        if self._pause is not None:
            soon = trio.current_time() + TOGETHER
            self._pause.deadline = min(self._pause.deadline, soon)

    # -- what arrives

    def _receive(self, message: NodeMessage) -> None:
        node, now = message.node, trio.current_time()
        if message.restarted or message.leaves:
            self._remove(node)
        new = node not in self._nodes
        if message.leaves or not self._nodes.hear(node, now, gap=message.gap):
            return
        for people in message.people:
            self._nodes.receive(node, people.retreat_id)
            room = self._announcements.room(people.retreat_id)
            if room is not None and room.elsewhere.set_people(node, people):
                _show(room)
        for mark in message.editing:
            room = self._announcements.room(mark.retreat_id)
            # One that does not run sends nothing, and asks for all once it runs.
            if room is not None and (room.state is RoomState.RUNNING or mark.mark is None):
                if room.elsewhere.set_mark(node, mark, now):
                    room.presence.change()
                room.mailbox.wake()
        self._announcements.ask(message.requested)
        if new or message.gap or message.requested:
            self._wake()

    def _remove(self, node: str) -> None:
        self._nodes.remove(node)
        for room in self._announcements.rooms():
            if room.elsewhere.remove(node):
                _show(room)


def _show(room: RoomHandle) -> None:
    """Let those in a room be sent who is there, and the marks that have ended."""
    room.presence.change()
    room.mailbox.wake()
