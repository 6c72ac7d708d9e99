"""The listeners of a server: the front door, TLS, and the HTTP server behind it.

``admin_front`` is the second one, for operators.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial

import trio

from gbs_actor.concurrency import Service
from gbs_actor.server.admin_front import admin_front
from gbs_actor.server.certificate import Certificate
from gbs_actor.server.composition import Composition
from gbs_actor.server.front_door import drain, front_door
from gbs_actor.server.lifetime import Lifetime
from gbs_actor.server.listening import BoundAddress, bound_addresses, open_listeners, with_tls
from gbs_actor.server.reloading import Reloading
from gbs_actor.settings import Settings


class Front:
    """The listeners of one server; :meth:`run` opens them.

    :param composition: what is served.
    :param load: reads the settings again.
    :param stop: lets the whole process stop, for an operator; default: :meth:`run` ends.
    :raises SettingsError: the settings' certificate cannot be used.
    """

    def __init__(
        self,
        composition: Composition,
        settings: Settings,
        *,
        load: Callable[[], Settings] | None = None,
        stop: Callable[[], None] | None = None,
    ) -> None:
        self._composition = composition
        self._stop = stop
        self._settings = settings
        self._certificate = Certificate.from_settings(settings.server)
        self._reloading = Reloading(
            settings,
            self._certificate,
            load=load,
            change_settings=composition.change_settings,
        )
        self._door = front_door(composition, settings)

    async def run(
        self,
        lifetime: Lifetime,
        task_status: trio.TaskStatus[tuple[BoundAddress, ...]],
        *,
        reloads: AsyncIterator[object] | None = None,
    ) -> None:
        """Serve until shutdown is requested, then end within the grace period.

        :param lifetime: reports the request for shutdown, and the grace period.
        :param reloads: settings and certificate are read again for each item.
        :param task_status: receives the bound addresses once clients can connect.
        :raises OSError: the address cannot be listened on.
        """
        server = self._settings.server
        async with (
            self._composition.running(),
            admin_front(self._composition, self._settings, self._certificate),
            trio.open_nursery() as nursery,
        ):
            listeners = await open_listeners(server.host, server.port, server.backlog)
            if self._certificate is None:
                await nursery.start(self._door.serve, listeners)
            else:
                encrypted = with_tls(listeners, self._certificate.context)
                await nursery.start(self._door.serve, encrypted)
            if reloads is not None:
                reloading = Service("reload", partial(self._reloading.run, reloads))
                nursery.start_soon(reloading.run)
            self._composition.shut_down = self._stop or lifetime.request_shutdown
            addresses = bound_addresses(listeners)
            self._composition.address = f"{addresses[0].host}:{addresses[0].port}"
            lifetime.started()
            task_status.started(addresses)
            await lifetime.wait_for_shutdown()
            await drain(self._composition, self._door, lifetime.grace)
            nursery.cancel_scope.cancel()
