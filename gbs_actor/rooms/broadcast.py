"""Sends everybody in a room who is there, and who edits what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import trio

from gbs_actor.rooms.delivery import Format
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.presence import Editor, MarkChange
from gbs_actor.rooms.subscriber import Subscriber
from gbs_actor.rooms.work_budget import WorkBudget


async def broadcast_presence(handle: RoomHandle, revision: int) -> None:
    """Send everybody in a room who is there, as it was built last; see :func:`_broadcast`.

    Those who have declined it are left out.

    :param revision: the room's.
    """
    presence = handle.presence

    def message(subscriber: Subscriber) -> Any:
        if subscriber.wants_presence:
            return presence.message(subscriber.sink.format, revision)
        return None

    await _broadcast(handle, message)


async def broadcast_marks(handle: RoomHandle, changes: Sequence[MarkChange], revision: int) -> None:
    """Send everybody in a room the editing marks of others; see :func:`_broadcast`.

    Nobody gets the own connection's. Everybody gets one message, however many marks.

    :param revision: the room's.
    """
    parts: dict[Format, dict[Editor, list[Any]]] = {}
    wholes: dict[Format, Any] = {}
    authors = {change.editor for change in changes}

    def message(subscriber: Subscriber) -> Any:
        form = subscriber.sink.format
        if form not in parts:
            parts[form] = {
                change.editor: [
                    form.editing(editing, change.editor.number, revision)
                    for editing in change.editings
                ]
                for change in changes
            }
            wholes[form] = _joined(form, parts[form], None)
        if subscriber in authors:
            return _joined(form, parts[form], subscriber)
        return wholes[form]

    await _broadcast(handle, message)


def _joined(form: Format, parts: dict[Editor, list[Any]], without: Editor | None) -> Any:
    messages = [m for author, own in parts.items() if author is not without for m in own]
    if len(messages) > 1:
        return form.bundle(messages)
    return messages[0] if messages else None


async def _broadcast(handle: RoomHandle, message: Callable[[Subscriber], Any]) -> None:
    """Deliver ``message(subscriber)`` to every subscriber; others run in between.

    Cancellation takes effect afterwards: what one gets, all get.
    """
    budget = WorkBudget(handle.config.deliveries_per_yield)
    with trio.CancelScope(shield=True):
        for subscriber in tuple(handle.subscribers):
            if subscriber.room is handle:  # it may have joined another room meanwhile
                ready = message(subscriber)
                if ready is not None:
                    subscriber.deliver(ready)
                await budget.spend()
