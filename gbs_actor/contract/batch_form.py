"""The payload of ``lineups-updated``: what clients in the batch form get instead of single rows.

A client applies ``rows``, then ``groups``. A group's values show on every row with its number and
leave that row's ``revision`` as it is.
"""

from __future__ import annotations

from typing import Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from gbs_actor.lineup.commands import Kind
from gbs_actor.lineup.records import Row

BATCH_FORM: Final = "batch"
"""What a client asks for as ``updates``: in the CONNECT payload, or a plain WebSocket's query."""


class GroupUpdate(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A group's values, which the row of each member shows.

    Our client decodes a deleted group as one without members.
    """

    gbs_number: int
    revision: int
    """Room revision at which they last changed."""
    gbs_memo: str = ""
    total_count: int = 0
    male_count: int = 0
    female_count: int = 0
    full_attendance_count: int = 0
    partial_attendance_count: int = 0


class DeletedGroup(msgspec.Struct, frozen=True, rename="camel"):
    """A group that was deleted: no row shows it any more."""

    gbs_number: int
    revision: int
    deleted: Literal[True] = True


class ChangedBy(msgspec.Struct, frozen=True, rename="camel"):
    """Who has made a change."""

    user_id: int | None
    """``None``: other programs, as the name says."""
    user_name: str


class ChangeSummary(msgspec.Struct, frozen=True, rename="camel"):
    """A change, as far as clients are to know of it."""

    revision: int
    kind: Kind
    by: ChangedBy
    ids: tuple[int, ...]
    """Registrations whose own fields it has changed."""
    command_id: UUID | UnsetType = UNSET
    """If the client has given one; of a change through another server in any case."""


class LineupsUpdate(msgspec.Struct, frozen=True, rename="camel"):
    """Changed rows and groups, as our client decodes them; it does not read ``changes``."""

    revision: int
    """The highest of its parts."""
    rows: tuple[Row, ...] = ()
    """Those whose own fields have changed; whole, in the revision of these fields."""
    groups: tuple[GroupUpdate, ...] = ()
    removed: tuple[int, ...] = ()
    """Registrations that are gone."""
