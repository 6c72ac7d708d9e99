"""Calls what an application has registered to watch a server, whose exceptions harm nobody."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any, Concatenate, Final, Generic, ParamSpec

import trio

logger = logging.getLogger(__name__)

P = ParamSpec("P")

_LOG_INTERVAL: Final = 60.0
"""Seconds between two reports of the same function: it may fail at every event."""


class Contained(Generic[P]):
    """Calls a function; its exceptions are logged, one a minute at most, and not raised."""

    __slots__ = ("_function", "_quiet_until", "_unlogged")

    def __init__(self, function: Callable[P, None]) -> None:
        self._function = function
        self._quiet_until = -math.inf
        self._unlogged = 0

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call the function."""
        try:
            self._function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  (the application's, reported below)
            self._report(error)

    def _report(self, error: Exception) -> None:
        now = trio.current_time()
        if now < self._quiet_until:
            self._unlogged += 1
            return
        self._quiet_until = now + _LOG_INTERVAL
        more, self._unlogged = self._unlogged, 0
        name = getattr(self._function, "__qualname__", repr(self._function))
        logger.error("%s failed; unlogged before: %d", name, more, exc_info=error)


class Hook(Generic[P]):
    """One method of all observers of a server.

    :param default: the method of the base class, which does nothing and is not called.
    """

    __slots__ = ("_default", "_methods")

    def __init__(self, default: Callable[Concatenate[Any, P], None]) -> None:
        self._default = default
        self._methods: tuple[Contained[P], ...] = ()

    def add(self, method: Callable[P, None]) -> None:
        """Call a method of one more observer, if its class overrides the default."""
        if getattr(method, "__func__", None) is not self._default:
            self._methods = (*self._methods, Contained(method))

    def __bool__(self) -> bool:
        """Return whether there is anything to call."""
        return bool(self._methods)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call them one after the other."""
        for method in self._methods:
            method(*args, **kwargs)
