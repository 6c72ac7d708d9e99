"""What a node reports of itself, and what others make of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gbs_actor.contract.decoding import InvalidPayload, decode
from gbs_actor.store.nodes import NodeReport

GONE_AFTER: Final = 10.0
"""Seconds without a report after which a node counts as gone."""

_Text = Annotated[str, Meta(max_length=500)]
_Number = Annotated[int, Meta(ge=0)]


class NodeState(StrEnum):
    """What can be expected of a node."""

    READY = "ready"
    NOT_READY = "not ready"
    """Its ``/readyz`` is 503: the database stores nothing, or what others change is not seen."""
    DRAINING = "draining"
    """It is about to stop."""
    GONE = "gone"
    """It has not reported for ten seconds."""


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A server at one moment, as it reports itself."""

    version: _Text
    host: _Text
    """The name of its machine."""
    address: _Text | None
    """Host and port at which it listens; null: another ASGI server does."""
    pid: _Number
    started_at: datetime
    draining: bool
    """Whether it is about to stop."""
    store_failure: _Text | None
    """In one sentence, why no change could be stored at the moment, or none of others is seen;
    null: neither."""
    rooms: _Number
    """Those that are open."""
    connections: _Number
    """Clients, of both protocols."""
    subscribers: _Number
    """Those of them that are in a room."""
    edits_per_second: float | None
    """Commands that were accepted since the report before; null: there was none."""
    loop_lag: float
    """How late timers fired in the last five minutes, 99th percentile; seconds."""
    behind: float
    """Seconds for which what other servers have changed may be missing there."""
    bus_connected: bool | None
    """null: it has no bus."""
    memory_bytes: _Number | None
    """Resident; null where its system has no ``/proc``."""


class NodeSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A server on the store, as the one that is asked sees it."""

    node: str | None
    """Its name; null: it has none, as it is the only one."""
    here: bool
    """Whether it is the one that is asked."""
    state: NodeState
    reported: float
    """Seconds since its last report; 0: the one that is asked."""
    status: NodeStatus | None
    """null: it is of a version whose reports cannot be read here."""


class NodeList(msgspec.Struct, frozen=True):
    """All servers on the store, by name; those that ended without notice for an hour."""

    nodes: tuple[NodeSummary, ...]


_decoder: Final = msgspec.json.Decoder(NodeStatus)


def encoded(status: NodeStatus) -> bytes:
    """Return a status as it is stored."""
    return msgspec.json.encode(status)


def summary_of(report: NodeReport) -> NodeSummary:
    """Return what another node has reported."""
    try:
        status = decode(report.status, _decoder)
    except InvalidPayload:
        status = None
    state = NodeState.GONE if report.age > GONE_AFTER else state_of(status)
    return NodeSummary(
        node=report.name, here=False, state=state, reported=report.age, status=status
    )


def state_of(status: NodeStatus | None) -> NodeState:
    """Return the state of a node that is there."""
    if status is not None and status.draining:
        return NodeState.DRAINING
    if status is None or status.store_failure is not None:
        return NodeState.NOT_READY
    return NodeState.READY
