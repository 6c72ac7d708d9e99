"""Which clients there are, and what each of them edits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.e2e.server_process import token
from tests.mixed.view import Row

SHARES: Final[Mapping[str, float]] = {
    "own": 0.2,
    "stock": 0.25,
    "plain": 0.1,
    "upgrading": 0.15,
    "polling": 0.15,
    "http": 0.15,
}
"""Of each kind among the clients: our Python client; the stock one over a WebSocket, behind an
upgrade, or by polls alone; JSON over a WebSocket; and who reads and writes by requests."""

NUMBERS: Final = 3
"""Group numbers of each client, which nobody else uses: each of its edits changes something."""


@dataclass(frozen=True)
class Plan:
    """One client."""

    kind: str
    number: int
    url: str
    numbers: Sequence[int]
    memo_of: int | None
    """The registration whose memo only this client writes."""
    interval: float
    """Seconds between the begins of two edits."""

    @property
    def name(self) -> str:
        return f"{self.kind} {self.number}"

    @property
    def token(self) -> str:
        """Of a user of its own."""
        return token(1000 + self.number, f"간사{self.number}")


def planned(number: int, url: str, rows: Collection[Row], *, interval: float) -> list[Plan]:
    """Return so many clients, or one of every kind if that is more.

    :param url: where they connect.
    :param rows: of the retreat, before any edit.
    :param interval: seconds between the begins of two edits of one client.
    """
    shares = {kind: max(1, round(share * number)) for kind, share in SHARES.items()}
    # One of each in turn, so that all kinds have memos to write.
    turns = range(max(shares.values()))
    kinds = [kind for turn in turns for kind, share in shares.items() if turn < share]
    memos = [row["id"] for row in rows if row["lineupMemoId"] is None and not row["isLeader"]]
    return [
        Plan(
            kind,
            at,
            url,
            range(1_000 + NUMBERS * at, 1_000 + NUMBERS * (at + 1)),
            memos[at] if at < len(memos) else None,
            interval,
        )
        for at, kind in enumerate(kinds)
    ]
