"""A whole server, from the database to the listeners."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import trio

from gbs_actor.concurrency import background
from gbs_actor.demo import add_demo_retreats
from gbs_actor.demo.secret import has_demo_secret
from gbs_actor.server.composition import Composition
from gbs_actor.server.database import bus_between_nodes, open_store
from gbs_actor.server.descriptors import fit_to_descriptors
from gbs_actor.server.front import Front
from gbs_actor.server.lifetime import graceful
from gbs_actor.server.listening import BoundAddress, warn_of_unknown_proxy
from gbs_actor.server.log_pruning import pruning
from gbs_actor.settings import Settings
from gbs_actor.store.protocol import Store


async def serve(
    settings: Settings,
    *,
    demo: bool = False,
    reloads: AsyncIterator[object] | None = None,
    load: Callable[[], Settings] | None = None,
    stop: Callable[[], None] | None = None,
    task_status: trio.TaskStatus[tuple[BoundAddress, ...]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a server over the database of the settings until it is cancelled.

    Cancelled before it has started, it ends at once. Afterwards it first finishes the
    commands of clients, closes their connections and then the database, within
    ``shutdown_grace``; what is not done by then is cancelled.

    :param demo: migrate the database, add the demo's retreats if they are missing, and let anybody
        sign in as one of its people, unless tokens are signed with a secret of the settings.
    :param reloads: settings and TLS certificate are read again for each item.
    :param load: reads the settings again; without it they stay.
    :param stop: called when an operator stops the server; default: it ends as if cancelled.
    :param task_status: receives the bound addresses once clients can connect.
    :raises SettingsError: the keys or the certificate of the settings cannot be used, or the
        process may open too few files.
    :raises StoreError: the database cannot be used.
    :raises OSError: the address cannot be listened on.

    Exceptions may be raised in groups, as by every nursery.
    """
    settings = fit_to_descriptors(settings)
    if not demo:
        warn_of_unknown_proxy(settings)
    async with (
        graceful(settings.server.shutdown_grace) as lifetime,
        open_store(settings, migrating=demo) as store,
        background(pruning(store, settings).run),
    ):
        if demo:
            await add_demo_retreats(store)
        composition = Composition(
            store,
            settings,
            bus=bus_between_nodes(settings, store),
            demo_sign_in=demo and has_demo_secret(settings),
        )
        composition.prepare()
        front = Front(
            composition,
            settings,
            load=None if load is None else lambda: fit_to_descriptors(load()),
            stop=stop,
        )
        await front.run(lifetime, task_status, reloads=reloads)


async def serve_on(
    store: Store,
    settings: Settings,
    *,
    reloads: AsyncIterator[object] | None = None,
    task_status: trio.TaskStatus[tuple[BoundAddress, ...]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a server over an open store; otherwise as :func:`serve`.

    :param store: stays open; the caller closes it.
    """
    async with graceful(settings.server.shutdown_grace) as lifetime:
        composition = Composition(store, settings)
        composition.prepare()
        front = Front(composition, settings)
        await front.run(lifetime, task_status, reloads=reloads)
