"""From the settings to what each part is configured with."""

from __future__ import annotations

from gbs_actor.rooms import RoomConfig
from gbs_actor.settings import RoomSettings


def room_config(settings: RoomSettings) -> RoomConfig:
    """Return how the settings want rooms to behave."""
    return RoomConfig(
        mailbox_size=settings.mailbox_size,
        batch_size=settings.batch_size,
        idle_timeout=settings.idle_timeout,
        commit_timeout=settings.commit_timeout,
        commit_resolve_timeout=settings.commit_resolve_timeout,
        crash_backoff=settings.crash_backoff_initial,
        crash_backoff_max=settings.crash_backoff_max,
        max_crashes=settings.max_crashes,
        crash_window=settings.crash_window,
        cool_down=settings.crash_cool_down,
        editing_timeout=settings.editing_timeout,
        editing_interval=settings.editing_interval,
        editing_interval_large=settings.editing_interval_large,
        presence_interval=settings.presence_interval,
        presence_interval_large=settings.presence_interval_large,
        large_room=settings.presence_large_room,
        memo_id_block=settings.memo_id_block,
    )
