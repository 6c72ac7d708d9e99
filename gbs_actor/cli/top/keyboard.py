"""Single keys of a terminal."""

from __future__ import annotations

import os
import sys
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import trio


@contextmanager
def single_keys() -> Iterator[bool]:
    """Have the terminal pass each key at once, unseen, within the block.

    Yields whether there is a terminal. Ctrl-C interrupts as ever.
    """
    if not sys.stdin.isatty():
        yield False
        return
    descriptor = sys.stdin.fileno()
    former = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield True
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, former)


async def pressed_keys() -> AsyncIterator[str]:
    """Yield the keys that are pressed, one by one, until the terminal is gone."""
    descriptor = sys.stdin.fileno()
    while True:
        await trio.lowlevel.wait_readable(descriptor)
        pressed = os.read(descriptor, 64).decode(errors="ignore")
        if not pressed:
            return
        for key in pressed:
            yield key
