"""What can be fuzzed: a name, and a function of a case's bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Final, cast

from hypothesis.stateful import RuleBasedStateMachine

Check = Callable[[bytes], None]
"""Runs one case; raises whatever for a finding, an :exc:`AssertionError` mostly."""


@dataclass(frozen=True, slots=True)
class Target:
    """One part of the server, and what must hold for it."""

    name: str
    check: Check
    max_size: int
    """Bytes of a case."""
    slice: int
    """Cases that the test suite runs each time."""
    machine: type[RuleBasedStateMachine] | None = None
    """What Hypothesis runs in place of :attr:`check`."""
    guided: bool = True
    """Whether it gains by a fuzzer that sees which code a case reaches."""


NAMES: Final = (
    "packet-text",
    "packet-values",
    "payload",
    "session",
    "conversation",
    "frames",
    "front-door",
    "request-head",
    "replay-stream",
    "event-payloads",
    "preconditions",
    "trusted-proxies",
    "handshake",
)
"""All targets; each is the module of :mod:`scripts.fuzz.targets` that has its name."""


def load(name: str) -> Target:
    """Return a target.

    :raises KeyError: there is none of this name.
    """
    if name not in NAMES:
        raise KeyError(name)
    module = import_module(f"scripts.fuzz.targets.{name.replace('-', '_')}")
    return cast(Target, module.TARGET)
