"""The bodies of the API's answers, each defined once for writing and for describing it.

Rows arrive encoded: an answer is written with :class:`msgspec.Raw` in their places, and
described with :class:`~gbs_actor.lineup.records.Row`.
"""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

import msgspec

RowT = TypeVar("RowT")
RowsT = TypeVar("RowsT")


class UserLineups(msgspec.Struct, Generic[RowsT], frozen=True, rename="camel"):
    """The line-up list, or what of it has changed."""

    user_retreat_gbs_lineups: RowsT
    revision: int
    """The room's."""
    epoch: str
    """Opaque; another one when revisions start anew."""
    full: bool
    """Whether the rows replace the reader's list, or are merged into it by ``id``."""


class Edited(msgspec.Struct, Generic[RowT], frozen=True, rename="camel"):
    """A change that is durable."""

    updated_lineups: tuple[RowT, ...]
    """Every row that reads differently now; of a repeat the addressed one."""
    user_retreat_gbs_lineup: RowT
    """The addressed row, as it is now."""
    revision: int
    """The room's revision that the change made; of a repeat the original one."""


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(msgspec.Struct, frozen=True):
    """The database answers too, and the server is not stopping."""

    status: Literal["ready"] = "ready"
