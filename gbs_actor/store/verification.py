"""Checks that the rows of a retreat agree with its log, for instance after a restore."""

from __future__ import annotations

from dataclasses import dataclass

from gbs_actor.lineup.replay import Difference, LogFault, Replay
from gbs_actor.store.protocol import AdminStore, Progress

_PAGE = 1_000
"""Log entries read at a time."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a comparison."""

    registrations: int
    entries: int
    """Of the log."""
    pruned_revision: int
    """Up to which the log was pruned; 0: never."""
    faults: tuple[LogFault, ...]
    """Entries of the log that contradict each other."""
    differences: tuple[Difference, ...]
    """Rows that differ from the log."""

    @property
    def clean(self) -> bool:
        """Whether there are no differences."""
        return not (self.faults or self.differences)


async def verify(
    store: AdminStore, slug: str, progress: Progress | None = None
) -> Verification | None:
    """Compare the rows of a retreat with its log; ``None``: there is no such retreat.

    Call it while no room commits: rows and log are read one after the other.

    :param progress: called with counts of log entries.
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
