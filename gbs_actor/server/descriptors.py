"""Fits the limits of connections to the descriptors that the system grants this process."""

from __future__ import annotations

import logging
import resource
from typing import Final

from gbs_actor.settings import Settings, SettingsError

RESERVE: Final = 200
"""Descriptors that no connection of a client gets.

About 30 are in use by an idle server with an embedded PostgreSQL. 116 are for connections that
are accepted only to be refused. The others are for files, and for a restart of PostgreSQL.
"""
ADMIN_CONNECTIONS: Final = 100
"""Connections to the address of ``/admin``, if it has its own: dashboards, scripts, monitoring."""
LEAST: Final = 50
"""Connections with which a start makes sense."""

logger = logging.getLogger(__name__)


def fit_to_descriptors(settings: Settings) -> Settings:
    """Raise this process's limit of descriptors as far as it may; return settings that fit it.

    If it is too low for the limits of connections, these are lowered, with a warning.

    :raises SettingsError: it is too low for any server.
    """
    limit = _raised_limit()
    needed = descriptors_for(settings)
    if limit is None or needed <= limit:
        return settings
    wanted = settings.socketio.max_connections + settings.http.http_connections
    connections = limit - descriptors_for(settings, connections=0)
    advice = f"raise it to {needed} (ulimit -n, or LimitNOFILE= of systemd)"
    if connections < LEAST:
        raise SettingsError(f"The process may open only {limit} files: {advice}.")
    logger.warning(
        "the process may open only %d files, which is enough for %d connections, not for the %d"
        " of the settings max_connections and http_connections: %s",
        limit,
        connections,
        wanted,
        advice,
    )
    http = max(1, connections * settings.http.http_connections // wanted)
    return settings.model_copy(
        update={
            "http": settings.http.model_copy(update={"http_connections": http}),
            "socketio": settings.socketio.model_copy(
                update={"max_connections": connections - http}
            ),
        }
    )


def descriptors_for(settings: Settings, *, connections: int | None = None) -> int:
    """Return how many descriptors a server has to be granted.

    :param connections: of clients; default: as many as the settings allow.
    """
    if connections is None:
        connections = settings.socketio.max_connections + settings.http.http_connections
    admin = 0 if settings.admin.admin_listen is None else ADMIN_CONNECTIONS
    return connections + admin + RESERVE + settings.store.pool_size


def _raised_limit() -> int | None:
    """Raise the soft limit to the hard one; return it, ``None`` if there is none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # some systems grant less than they name
            hard = soft
    return None if hard == resource.RLIM_INFINITY else hard
