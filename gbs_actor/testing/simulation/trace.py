"""A run of a plan: what happened, its hash, and how it reads."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

import msgspec

from gbs_actor.testing.simulation.history import Ended, Event, History, Moment
from gbs_actor.testing.simulation.plan import Plan
from gbs_actor.testing.simulation.steps import LongStep

_SHOWN: Final = 160
"""Characters of an event that are shown."""


@dataclass(frozen=True)
class Trace:
    """A run."""

    plan: Plan
    history: History
    counters: Counter[str]
    """How often what was reached: faults, steps of rooms, kinds of changes, codes of answers."""
    longest_step: LongStep | None = None
    """The server's, if it was looked for."""

    @cached_property
    def hash(self) -> str:
        """A digest of all that happened; equal plans have equal ones, wherever they are run."""
        digest = hashlib.sha256()
        for moment in self.history.moments:
            digest.update(_encode(moment))
            digest.update(b"\n")
        return digest.hexdigest()

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self, moments: Iterable[int] | None = None) -> Iterator[str]:
        """Yield what happened, a line a moment.

        :param moments: their indices; ``None``: of all.
        """
        chosen = range(len(self.history.moments)) if moments is None else moments
        for index in chosen:
            moment = self.history.moments[index]
            yield f"{index:4} {moment.at - self._start:9.3f}  {describe(moment.event)}"

    @property
    def _start(self) -> float:
        moments = self.history.moments
        return moments[0].at if moments else 0.0


def _plain(value: object) -> object:
    if isinstance(value, MappingProxyType):
        return dict(value)
    raise NotImplementedError


_encoder: Final = msgspec.json.Encoder(enc_hook=_plain)


def _encode(moment: Moment) -> bytes:
    """Return a moment in a canonical form."""
    start = f"{moment.at!r} {type(moment.event).__name__} "
    return start.encode() + _encoder.encode(moment.event)


def describe(event: Event) -> str:
    """Return an event in one line."""
    if isinstance(event, Ended):
        return f"Ended {event.slug} at {event.stored.revision}, left over {dict(event.left_over)}"
    members: dict[str, Any] = msgspec.to_builtins(event)
    shown = " ".join(
        f"{name}={_short(value)}" for name, value in members.items() if value not in (None, False)
    )
    return f"{type(event).__name__} {shown}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
