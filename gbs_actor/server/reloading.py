"""Reads settings and certificate again while the server runs, on SIGHUP."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Final

import trio

from gbs_actor.observability import configure_logging
from gbs_actor.server.certificate import Certificate
from gbs_actor.settings import Settings, SettingsError, changed, toml_value
from gbs_actor.store.protocol import StoreError

AT_RUN_TIME: Final = ("logging", "limits")
"""The groups of settings that take effect without a restart."""

logger = logging.getLogger(__name__)


class Reloading:
    """The settings in use, and the certificate, which :meth:`run` replaces by new ones.

    :param settings: those that the server was started with.
    :param certificate: ``None``: the server speaks no TLS.
    :param load: reads the settings from their sources, in a thread; ``None``: they stay.
    :param change_settings: makes the parts of the server use changed settings; only groups of
        :data:`AT_RUN_TIME` differ.
    """

    def __init__(
        self,
        settings: Settings,
        certificate: Certificate | None,
        *,
        load: Callable[[], Settings] | None,
        change_settings: Callable[[Settings], None],
    ) -> None:
        self._settings = settings
        self._certificate = certificate
        self._load = load
        self._change_settings = change_settings

    async def run(self, reloads: AsyncIterator[object]) -> None:
        """Read both again for each item. What is refused leaves what is in use; all is logged.

        Reads files, and derives keys from passwords, in a thread. Cancelled, it abandons that.
        """
        async for _ in reloads:
            if self._load is not None:
                await self._read_settings(self._load)
            if self._certificate is None:
                logger.info("there is no certificate to read again: the server speaks no TLS")
            else:
                await trio.to_thread.run_sync(self._certificate.read_again, abandon_on_cancel=True)

    async def _read_settings(self, load: Callable[[], Settings]) -> None:
        try:
            settings = await trio.to_thread.run_sync(load, abandon_on_cancel=True)
        except (SettingsError, StoreError) as error:
            logger.error(  # noqa: TRY400  (the sentence is enough)
                "the settings in use stay, as the new ones are refused: %s", error
            )
            return
        former = self._settings
        self._settings = former.with_groups_of(settings, AT_RUN_TIME)
        if self._settings.logging != former.logging:
            self._settings.build(configure_logging)
        if self._settings != former:
            self._change_settings(self._settings)
        differences = list(changed(former, settings))
        for group, name in differences:
            old, new = _shown(former, group, name), _shown(settings, group, name)
            if group in AT_RUN_TIME:
                logger.info("%s is %s from now on; it was %s", name, new, old)
            else:
                logger.warning("%s needs a restart to become %s; it stays %s", name, new, old)
        if not differences:
            logger.info("the settings were read again; none has changed")


def _shown(settings: Settings, group: str, name: str) -> str:
    """Return a value for the log; a secret is masked."""
    return toml_value(getattr(getattr(settings, group), name)) or "not set"
