"""Rows and groups in JSON, and what is sent of them in the batch form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType
from msgspec.structs import replace

from gbs_actor.contract.batch_form import ChangeSummary, DeletedGroup, GroupUpdate
from gbs_actor.lineup.records import Group, Row

_encoder: Final = msgspec.json.Encoder()

Key = tuple[str | int, ...]
"""Stands for a row or a group: a newer state of it replaces one that waits."""


class EncodedRow(msgspec.Struct, gc=False):
    """A line-up row as of one revision; encoded once, when its JSON is first read."""

    id: int
    revision: int
    _source: Row | bytes
    """The row until then, its JSON from then on."""

    @classmethod
    def of(cls, row: Row) -> EncodedRow:
        """Return a row that is not encoded yet."""
        return cls(row.id, row.revision, row)

    @property
    def key(self) -> Key:
        """Stands for the row, whatever its revision."""
        return ("row", self.id)

    @property
    def json(self) -> bytes:
        """The row as a JSON object."""
        source = self._source
        if not isinstance(source, bytes):
            source = self._source = _encoder.encode(source)
        return source

    def in_revision(self, revision: int) -> EncodedRow:
        """Return the row in another revision, which is the last member of its JSON."""
        if revision == self.revision:
            return self
        members, _, _ = self.json.rpartition(b":")
        return EncodedRow(self.id, revision, b"%b:%d}" % (members, revision))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EncodedRow):
            return NotImplemented
        return (self.id, self.revision, self.json) == (other.id, other.revision, other.json)

    def __hash__(self) -> int:
        return hash((self.id, self.revision))

    def __repr__(self) -> str:
        return f"<EncodedRow {self.id} at revision {self.revision}>"


class EncodedGroup(msgspec.Struct, frozen=True, gc=False):
    """A group as of one revision."""

    room: str
    """The slug of its retreat."""
    number: int
    revision: int
    json: bytes
    """The group as a JSON object."""

    @property
    def key(self) -> Key:
        """Stands for the group, whatever its revision.

        Each retreat has a group 1: one who moves on from a room is still sent what waits of it.
        """
        return ("group", self.room, self.number)

    @classmethod
    def of(cls, room: str, group: Group, member: Row | None) -> EncodedGroup:
        """Encode a group.

        :param room: the slug of its retreat.
        :param member: the row of any member as of then; ``None``: there is none.
        """
        values: GroupUpdate | DeletedGroup = GroupUpdate(group.number, group.revision, group.memo)
        if group.deleted:
            values = DeletedGroup(group.number, group.revision)
        elif member is not None:
            values = GroupUpdate(
                group.number,
                group.revision,
                group.memo,
                member.total_count,
                member.male_count,
                member.female_count,
                member.full_attendance_count,
                member.partial_attendance_count,
            )
        return cls(room, group.number, group.revision, _encoder.encode(values))


class EncodedRemoval(msgspec.Struct, frozen=True, gc=False):
    """A registration that is gone since a revision."""

    id: int
    revision: int

    @property
    def key(self) -> Key:
        """That of the row: whichever of the two is newer replaces the other."""
        return ("row", self.id)


Part = EncodedRow | EncodedGroup | EncodedRemoval
"""A row or a group in one revision: for rows, that of their own fields; or the end of a row."""


class _Payload(msgspec.Struct, frozen=True):
    """See :class:`~gbs_actor.contract.batch_form.LineupsUpdate`."""

    revision: int
    rows: list[Raw]
    groups: list[Raw]
    changes: list[ChangeSummary]
    removed: list[int] | UnsetType = UNSET


class PartsUpdate:
    """Parts that go out together as one ``lineups-updated``.

    :param parts: the last state of each, ascending by revision, rows before groups at equal ones.
    :param changes: what they are made of.
    """

    __slots__ = ("_changes", "_parts")

    def __init__(self, parts: Sequence[Part], changes: Sequence[ChangeSummary]) -> None:
        self._parts = parts
        self._changes = changes

    @property
    def revision(self) -> int:
        """The highest of its parts."""
        return self._parts[-1].revision

    @property
    def key(self) -> Key:
        """The row or group that the first part is of."""
        return self._parts[0].key

    def json(self) -> bytes:
        """Encode the payload."""
        rows: list[Raw] = []
        groups: list[Raw] = []
        removed: list[int] = []
        for part in self._parts:
            if isinstance(part, EncodedRemoval):
                removed.append(part.id)
            else:
                (rows if isinstance(part, EncodedRow) else groups).append(Raw(part.json))
        changes = [*self._changes]
        return _encoder.encode(
            _Payload(self.revision, rows, groups, changes, removed if removed else UNSET)
        )

    def divided(self) -> Iterator[PartsUpdate]:
        """Yield each part by itself, with the change that it is of, if that is known."""
        changes = {change.revision: change for change in self._changes}
        for part in self._parts:
            change = changes.get(part.revision)
            ids = () if isinstance(part, EncodedGroup) else (part.id,)
            yield PartsUpdate((part,), () if change is None else (replace(change, ids=ids),))
