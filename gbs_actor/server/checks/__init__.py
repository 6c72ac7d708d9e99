"""Checks of all that the server needs, without a start: ``gbs-actor check``.

::

    finding    one line of the report
    files      settings, keys, certificate
    host       port, descriptors, disk
    database   PostgreSQL: safe, rights, schema, the servers it has, clock
    bus        what servers on one database tell each other by

Nothing is changed: no listener is opened, no database started, no migration applied.
"""

from __future__ import annotations

import os
from pathlib import Path

import trio

from gbs_actor.observability import configure_logging
from gbs_actor.server.checks.bus import check_bus
from gbs_actor.server.checks.database import check_database
from gbs_actor.server.checks.files import check_certificate, check_keys, check_settings
from gbs_actor.server.checks.finding import Finding, Status, error
from gbs_actor.server.checks.host import (
    check_admin_port,
    check_descriptors,
    check_disk,
    check_port,
)
from gbs_actor.settings import Settings, SettingsError

__all__ = ["Finding", "Status", "check_all"]


async def check_all(config: Path | None) -> list[Finding]:
    """Check everything, in the order in which a start needs it.

    With wrong settings nothing else can be checked. Takes as long as the time limits of the
    settings for the database allow, 3 s for a server that runs, and 8 s for the bus.

    :param config: TOML file; ``None``: see :meth:`.Settings.load`.
    """
    try:
        settings = Settings.load(config)
    except SettingsError as refused:
        return [error("settings", sentence) for sentence in str(refused).splitlines()]
    # What the parts log would stand between the lines of the report, which has it all.
    settings.build(configure_logging, log_level="ERROR")
    port = await trio.to_thread.run_sync(check_port, settings)
    admin_port = await trio.to_thread.run_sync(check_admin_port, settings, port.server_runs)
    database = await check_database(settings, server_runs=port.server_runs)
    return [
        *check_settings(settings, os.environ),
        *check_keys(settings),
        *check_certificate(settings),
        port.finding,
        *admin_port,
        check_descriptors(settings),
        *database.findings,
        *await check_bus(settings),
        check_disk(database.folder),
    ]
