"""A descriptor in reserve, for the moment when a process has none left."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE})


def out_of_descriptors(error: OSError) -> bool:
    """Return whether the process, or the system, has no descriptor left."""
    return error.errno in _SHORTAGES


class SpareDescriptor:
    """A descriptor of the null device, which can be given up for another one."""

    def __init__(self) -> None:
        self._descriptor: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep one open within the block."""
        self._open()
        try:
            yield
        finally:
            self._close()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Keep it closed within the block."""
        self._close()
        try:
            yield
        finally:
            self._open()

    def _open(self) -> None:
        try:
            self._descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._descriptor = None  # the next time, perhaps

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
