"""The rows of a client's retreat, and notification of their changes."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import msgspec
import trio

from gbs_actor.client import packets
from gbs_actor.client.replica import Replica
from gbs_actor.client.updates import (
    EditingMarked,
    ListReplaced,
    PresenceChanged,
    RowUpdated,
    ServerError,
    Update,
    UpdateFeed,
)
from gbs_actor.contract.batch_form import LineupsUpdate
from gbs_actor.contract.events import ServerEvent
from gbs_actor.lineup.records import Row

_row = msgspec.json.Decoder(Row)
_lineups = msgspec.json.Decoder(LineupsUpdate)
_editing = msgspec.json.Decoder(EditingMarked)
_presence = msgspec.json.Decoder(PresenceChanged)
_error = msgspec.json.Decoder(ServerError)


class LineupView:
    """The rows of the joined retreat, and the feeds of updates.

    Everything that arrives passes through it, in order.
    """

    def __init__(self) -> None:
        self.replica = Replica()
        self._feeds: WeakKeyDictionary[UpdateFeed, None] = WeakKeyDictionary()
        """In the order in which they were made."""
        self._arrived = trio.Event()

    def add_feed(self) -> UpdateFeed:
        """Return a feed of everything that arrives from now on."""
        feed = UpdateFeed()
        self._feeds[feed] = None
        return feed

    async def wait_arrival(self) -> None:
        """Wait until something has arrived, or the client has ended."""
        await self._arrived.wait()

    def replace(self, rows: Sequence[Row], revision: int, epoch: str | None) -> None:
        """Replace the whole list."""
        self.replica.replace(rows, revision, epoch)
        self._publish(ListReplaced(self.replica.rows, revision))

    def merge(self, rows: Sequence[Row], revision: int) -> None:
        """Merge the rows that were missed, up to a revision."""
        self.replica.merge(rows, revision)
        for row in rows:
            self._publish(RowUpdated(row))
        self._wake()

    def merge_row(self, row: Row) -> None:
        """Merge the row of an update."""
        known = self.replica.get(row.id)
        self.replica.merge([row])
        self._publish_change(row.id, known)

    def apply(self, update: LineupsUpdate) -> None:
        """Apply an update in the batch form."""
        changed = self.replica.apply(update)
        if update.removed:
            self._publish(ListReplaced(self.replica.rows, self.replica.revision))
        for row in changed:
            self._publish(RowUpdated(row))
        self._wake()

    def merge_answer(self, row: Row, revision: int | None) -> None:
        """Merge the row of an answer; see :meth:`Replica.merge_answer`."""
        known = self.replica.get(row.id)
        self.replica.merge_answer(row, revision)
        self._publish_change(row.id, known)

    def note_revision(self, revision: int | None) -> None:
        """Note the revision of an answer whose rows have arrived before it."""
        self.replica.note_revision(revision)
        self._wake()

    def receive(self, event: packets.Event) -> None:
        """Receive an event of the server.

        :raises msgspec.MsgspecError: its payload is not what the event carries.
        """
        if not event.arguments:
            return
        payload = event.arguments[0]
        match event.name:
            case ServerEvent.LINEUP_UPDATED:
                self.merge_row(_row.decode(payload))
            case ServerEvent.LINEUPS_UPDATED:
                self.apply(_lineups.decode(payload))
            case ServerEvent.USER_EDITING:
                self._publish(_editing.decode(payload))
            case ServerEvent.ROOM_PRESENCE:
                self._publish(_presence.decode(payload))
            case ServerEvent.ERROR:
                self._publish(_error.decode(payload))

    def end(self, failure: Exception | None) -> None:
        """End the feeds, and wake all waiting tasks."""
        self._wake()
        for feed in list(self._feeds):
            feed.end(failure)

    def _publish_change(self, row_id: int, known: Row | None) -> None:
        row = self.replica.get(row_id)
        if row is not None and row != known:
            self._publish(RowUpdated(row))
        else:
            self._wake()  # the revision may be a later one, of a change without rows

    def _publish(self, update: Update) -> None:
        for feed in list(self._feeds):
            feed.put(update)
        self._wake()

    def _wake(self) -> None:
        self._arrived.set()
        self._arrived = trio.Event()
