"""What everybody in a room is told beside its rows: who is there, and who edits what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import trio

from gbs_actor.rooms.delivery import Format, Presence
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.presence import MarkChange
from gbs_actor.rooms.row_sequence import deliver
from gbs_actor.rooms.subscriber import Subscriber


async def broadcast_presence(handle: RoomHandle, presence: Presence, revision: int) -> None:
    """Tell everybody in a room who is there; see :func:`_broadcast`.

    :param revision: the room's.
    """
    encoded: dict[Format, Any] = {}

    def message(subscriber: Subscriber) -> Any:
        form = subscriber.sink.format
        if form not in encoded:
            encoded[form] = form.presence(presence, revision)
        return encoded[form]

    await _broadcast(handle, message)


async def broadcast_marks(handle: RoomHandle, changes: Sequence[MarkChange], revision: int) -> None:
    """Tell everybody in a room of others' editing marks; see :func:`_broadcast`.

    Nobody is told of the own connection's. Everybody gets one message, however many marks.

    :param revision: the room's.
    """
    parts: dict[Format, dict[Subscriber, list[Any]]] = {}
    wholes: dict[Format, Any] = {}
    authors = {each.subscriber for each in changes}

    def message(subscriber: Subscriber) -> Any:
        form = subscriber.sink.format
        if form not in parts:
            parts[form] = {
                each.subscriber: [
                    form.editing(editing, each.subscriber.number, revision)
                    for editing in each.editings
                ]
                for each in changes
            }
            wholes[form] = _joined(form, parts[form], None)
        if subscriber in authors:
            return _joined(form, parts[form], subscriber)
        return wholes[form]

    await _broadcast(handle, message)


def _joined(form: Format, parts: dict[Subscriber, list[Any]], apart_from: Subscriber | None) -> Any:
    messages = [m for author, sent in parts.items() if author is not apart_from for m in sent]
    if len(messages) > 1:
        return form.bundle(messages)
    return messages[0] if messages else None


async def _broadcast(handle: RoomHandle, message: Callable[[Subscriber], Any]) -> None:
    """Hand every subscriber what ``message`` has for it, and let others run in between.

    Cancellation takes effect afterwards: nobody misses what others were told.
    """
    work = 0
    with trio.CancelScope(shield=True):
        for subscriber in tuple(handle.subscribers):
            if subscriber.handle is not handle:
                continue  # it has moved on to another room
            ready = message(subscriber)
            if ready is not None:
                deliver(subscriber, ready)
            work += 1
            if work >= handle.config.deliveries_per_yield:
                work = 0
                await trio.lowlevel.checkpoint()
