"""Checks of the bus between several servers."""

from __future__ import annotations

from typing import Final

import trio

from gbs_actor.bus.opening import open_bus
from gbs_actor.server.checks.finding import Finding, error, ok, warning
from gbs_actor.settings import Settings, SettingsError

TIMEOUT: Final = 8.0
"""Seconds within which a message has to come back."""
_POLL: Final = 0.05


async def check_bus(settings: Settings) -> list[Finding]:
    """Check whether what is sent over the bus comes back; nothing where there is one server."""
    node, url = settings.store.node, settings.store.database_url
    if node is None or url is None:
        return []
    try:
        bus = open_bus(settings.bus, node="check", dsn=url.get_secret_value(), database="check")
    except SettingsError as refused:
        return [error("bus", str(refused))]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bus.run)
        with trio.move_on_after(TIMEOUT):
            while bus.statistics().own == 0:  # noqa: ASYNC110  (it counts, and does not notify)
                await trio.sleep(_POLL)
        found = bus.statistics()
        nursery.cancel_scope.cancel()
    if found.lag is not None:
        return [ok("bus", f"{found.kind}: a message takes {found.lag * 1_000:.1f} ms")]
    reason = found.last_error or "what is sent does not come back"
    return [
        warning(
            "bus",
            f"{found.kind}: {reason}",
            "without it servers see changes of others up to comparison_interval later",
        )
    ]
