"""The imports that wait to be applied: a few, for some minutes, in memory only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

import trio

from gbs_actor.lineup.changes import Problem as ChangeProblem
from gbs_actor.settings import ImportSettings
from gbs_actor.sheets import Preview, Problem


@dataclass(eq=False, slots=True)
class PendingImport:
    """A file that a user has uploaded for a retreat, and what it would change."""

    id: UUID
    """Also that of the command that applies it."""
    slug: str
    user_id: int
    data: bytes
    """The file."""
    apply_lineup_number: bool
    revision: int
    """The retreat's, that the preview is of."""
    preview: Preview
    conflicts: tuple[ChangeProblem, ...] = ()
    """What others have changed since the export, as of that revision: what the room would refuse
    the import for."""
    shown: frozenset[Problem] = frozenset()
    """The warnings that the user has been shown."""
    expires_at: float = 0.0
    """Trio time."""
    lock: trio.Lock = field(default_factory=trio.Lock)
    """Held while it is applied."""


class PendingImports:
    """Keeps imports until they expire, or newer ones need their room.

    :param settings: how many, and how long.
    """

    def __init__(self, settings: ImportSettings) -> None:
        self._settings = settings
        self._imports: dict[UUID, PendingImport] = {}
        """The oldest first."""

    def __len__(self) -> int:
        """Return how many there are."""
        self._expire()
        return len(self._imports)

    def add(self, pending: PendingImport) -> None:
        """Keep an import from now on."""
        self._expire()
        settings = self._settings
        for id_ in list(self._superfluous(pending.user_id)):
            del self._imports[id_]
        pending.expires_at = trio.current_time() + settings.import_timeout
        self._imports[pending.id] = pending

    def find(self, id_: UUID, slug: str, user_id: int) -> PendingImport | None:
        """Return an import of this user for this retreat, if it has not expired."""
        self._expire()
        pending = self._imports.get(id_)
        if pending is None or (pending.slug, pending.user_id) != (slug, user_id):
            return None
        return pending

    def _superfluous(self, user_id: int) -> Iterator[UUID]:
        """Yield what makes room for another one of a user."""
        own = [each.id for each in self._imports.values() if each.user_id == user_id]
        if len(own) >= self._settings.imports_per_user:
            yield own[0]
        elif len(self._imports) >= self._settings.imports:
            yield next(iter(self._imports))

    def _expire(self) -> None:
        now = trio.current_time()
        while self._imports:
            oldest = next(iter(self._imports.values()))
            if oldest.expires_at > now:
                break
            del self._imports[oldest.id]
