"""Changed rows and groups, as subscribers in the batch form get them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import UNSET

from gbs_actor.contract.batch_form import ChangedBy, ChangeSummary
from gbs_actor.lineup.changes import Change
from gbs_actor.lineup.commands import Kind
from gbs_actor.rooms.delivery import Format
from gbs_actor.rooms.encoded import EncodedGroup, EncodedRow, Key, Part, PartsUpdate
from gbs_actor.rooms.piece_sequence import PieceSequence
from gbs_actor.store.protocol import DeltaEntry


class PartSequence(PieceSequence[Part]):
    """Changed rows and groups, for subscribers in the batch form: a piece is one message.

    :param parts: ascending by revision, rows before groups at equal ones.
    :param changes: by revision; changes that are not known are left out.
    """

    def __init__(
        self, parts: Sequence[Part], changes: Mapping[int, ChangeSummary] | None = None
    ) -> None:
        super().__init__(parts)
        self._changes = changes or {}
        self._pieces: dict[tuple[Format, int, int], Any] = {}

    @classmethod
    def of(
        cls, room: str, changes: Iterable[tuple[Change, Sequence[EncodedRow], bool]]
    ) -> PartSequence:
        """Return what some changes have made of rows and groups.

        :param room: the slug of the retreat.
        :param changes: ascending by revision, each with the rows that read differently since,
            and whether a client has given its command id.
        """
        parts: list[Part] = []
        summaries: dict[int, ChangeSummary] = {}
        for change, rows, client_made_id in changes:
            own = {registration.id for registration in change.registrations}
            members = {row.gbs_number: row for row in change.rows}
            parts.extend(row for row in rows if row.id in own)
            parts.extend(EncodedGroup.of(room, it, members.get(it.number)) for it in change.groups)
            summaries[change.revision] = _summary(change, client_made_id=client_made_id)
        return cls(parts, summaries)

    def piece(self, form: Format, start: int, end: int) -> Any:
        """See :class:`PieceSequence`."""
        return self._pieces.get((form, start, end))

    def _build(self, form: Format, start: int, end: int) -> Iterator[int]:
        chosen = self._items[start:end]
        last: dict[Key, Part] = {}
        for part in chosen:
            last.pop(part.key, None)
            last[part.key] = part
        revisions = dict.fromkeys(part.revision for part in chosen)
        changes = [self._changes[it] for it in revisions if it in self._changes]
        update = PartsUpdate(tuple(last.values()), changes)
        self._pieces[form, start, end] = form.lineups(update)
        yield len(last)


def summary_of(entry: DeltaEntry) -> ChangeSummary | None:
    """Return a change that another server has made; ``None``: a fence, which changes nothing.

    Whether its client has given the command id is not known, so it is there.
    """
    if entry.kind is Kind.FENCE:
        return None
    return ChangeSummary(
        revision=entry.revision,
        kind=entry.kind,
        by=ChangedBy(entry.author_id, entry.author_name),
        ids=entry.registration_ids,
        command_id=entry.command_id,
    )


def _summary(change: Change, *, client_made_id: bool) -> ChangeSummary:
    assert change.author is not None
    return ChangeSummary(
        revision=change.revision,
        kind=change.kind,
        by=ChangedBy(change.author.user_id, change.author.name),
        ids=tuple(registration.id for registration in change.registrations),
        command_id=change.command_id if client_made_id else UNSET,
    )
