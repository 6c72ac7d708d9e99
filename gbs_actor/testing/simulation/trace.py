"""A run: what happened, its hash, and how it reads."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

import msgspec

from gbs_actor.testing.peers import Received
from gbs_actor.testing.simulation.checker import Violation
from gbs_actor.testing.simulation.history import (
    Answered,
    Delivered,
    History,
    Invoked,
    Moment,
    Opened,
)
from gbs_actor.testing.simulation.lines import Line, lines
from gbs_actor.testing.simulation.plan import Plan
from gbs_actor.testing.simulation.steps import LongStep


@dataclass(frozen=True)
class Trace:
    """A run."""

    seed: int
    history: History
    counters: Counter[str]
    """How often what was reached: faults, steps of rooms, kinds of changes, codes of answers."""

    @cached_property
    def received(self) -> Mapping[int, tuple[Received, ...]]:
        """What each client has received, in order, by its number; of peers, from 1 on."""
        found: dict[int, list[Received]] = {}
        client_of: dict[int, int] = {}
        asked_by: dict[int, int] = {}
        for moment in self.history.moments:
            match moment.event:
                case Opened(connection=connection, client=client):
                    client_of[connection] = client
                    found.setdefault(client, [])
                case Invoked(invocation=number, client=client):
                    asked_by[number] = client
                case Answered(invocation=number, reply=reply):
                    message = Received("reply", arguments=(reply,))
                    found.setdefault(asked_by[number], []).append(message)
                case Delivered(connection=connection, event=name, payload=payload):
                    found[client_of[connection]].append(Received("event", name, (payload,)))
        return {client: tuple(messages) for client, messages in found.items()}

    @cached_property
    def hash(self) -> str:
        """A digest of all that happened: equal in all runs of one plan, or scenario, and seed."""
        digest = hashlib.sha256()
        for moment in self.history.moments:
            digest.update(_encode(moment))
            digest.update(b"\n")
        return digest.hexdigest()

    def __str__(self) -> str:
        return "\n".join(map(str, self.lines()))

    def lines(self, violations: Sequence[Violation] = ()) -> Iterator[Line]:
        """Yield what happened, for a reader: a line a moment, and one for each violation."""
        return lines(self.history, violations)

    def records(self, violations: Sequence[Violation] = ()) -> Iterator[bytes]:
        """Yield the same as JSON objects."""
        broken: dict[int, list[Violation]] = {}
        for each in violations:
            broken.setdefault(each.index, []).append(each)
        for index, moment in enumerate(self.history.moments):
            members: dict[str, Any] = {"index": index, "at": moment.at}
            members["event"] = type(moment.event).__name__
            yield _encoder.encode(members | {"content": moment.event})
            for each in broken.get(index, ()):
                yield _encoder.encode(
                    {"index": index, "violation": each.rule, "sentence": each.sentence}
                )


@dataclass(frozen=True)
class PlanTrace(Trace):
    """A run of a plan."""

    plan: Plan
    longest_step: LongStep | None = None
    """The server's, if it was looked for."""


def _plain(value: object) -> object:
    if isinstance(value, MappingProxyType):
        return dict(value)
    raise NotImplementedError


_encoder: Final = msgspec.json.Encoder(enc_hook=_plain)


def _encode(moment: Moment) -> bytes:
    """Return a moment in a canonical form."""
    start = f"{moment.at!r} {type(moment.event).__name__} "
    return start.encode() + _encoder.encode(moment.event)
