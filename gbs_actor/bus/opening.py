"""The bus that the settings ask for."""

from __future__ import annotations

from collections.abc import Callable

from gbs_actor.bus.node_bus import NodeBus
from gbs_actor.bus.postgres import postgres_channel
from gbs_actor.bus.protocol import Bus
from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.settings import BusSettings, SettingsError, variable


def open_bus(
    settings: BusSettings,
    *,
    node: str,
    dsn: str,
    database: str,
    may_send: Callable[[], bool] = lambda: True,
    environment: Environment = SYSTEM,
) -> Bus:
    """Return the bus of a node; it connects when it runs.

    :param node: the name of the node, short, and unique among those of the database.
    :param dsn: the database's address; used if there is no Valkey.
    :param database: an identity of the database, short, the same on all nodes: databases may share
        a Valkey.
    :param may_send: see :class:`~gbs_actor.bus.node_bus.NodeBus`.
    :raises SettingsError: a package is missing.
    """
    if settings.bus_url is None:
        kind, subscribe = "postgres", postgres_channel(dsn)
    else:
        try:
            # Takes 0.3 s and 13 MB, which a server without it should not pay.
            from gbs_actor.bus.valkey import valkey_channel  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"{variable('bus_url')}: the package {error.name} is missing; install "
                "gbs-actor[valkey]."
            ) from None
        kind = "valkey"
        subscribe = valkey_channel(settings.bus_url.get_secret_value(), f"gbs_actor:{database}")
    return NodeBus(
        kind,
        subscribe,
        node=node,
        interval=settings.bus_interval,
        may_send=may_send,
        environment=environment,
    )
