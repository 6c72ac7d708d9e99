"""Whether the rows of a retreat are what its log leads to: an operator's proof of a restore."""

from __future__ import annotations

from dataclasses import dataclass

from gbs_actor.lineup.replay import Difference, LogFault, Replay
from gbs_actor.store.protocol import AdminStore, Progress

_PAGE = 1_000
"""Log entries read at a time."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What a comparison has found."""

    registrations: int
    entries: int
    """Of the log."""
    pruned_revision: int
    """Up to which the log was pruned; 0: never."""
    faults: tuple[LogFault, ...]
    """Entries of the log that do not fit each other."""
    differences: tuple[Difference, ...]
    """Rows that do not fit the log."""

    @property
    def clean(self) -> bool:
        """Whether everything fits."""
        return not (self.faults or self.differences)


async def verify(
    store: AdminStore, slug: str, progress: Progress | None = None
) -> Verification | None:
    """Compare the rows of a retreat with its log; ``None``: there is no such retreat.

    To be done while no room commits: rows and log are read one after the other.

    :param progress: called with log entries.
    :raises StoreUnavailable: the store cannot be reached.
    """
    retreat = await store.load(slug)
    if retreat is None:
        return None
    pruned = await store.pruned_revision(retreat.id)
    replay = Replay(pruned)
    entries = after = 0
    while page := await store.log(retreat.id, after_revision=after, limit=_PAGE):
        for entry in page:
            replay.add(entry)
        entries += len(page)
        after = page[-1].revision
        if progress is not None:
            progress(entries, max(entries, retreat.revision - pruned))
    return Verification(
        registrations=len({registration.id for registration in retreat.registrations}),
        entries=entries,
        pruned_revision=pruned,
        faults=tuple(replay.faults),
        differences=tuple(replay.differences(retreat)),
    )
