"""The order in which clients see the rows of a line-up."""

from __future__ import annotations

from gbs_actor.lineup.records import Row

SessionLocation = tuple[bool, int, bool, int, str, int]
"""Sort key of a row; no two rows of a retreat share one."""


def place(row: Row) -> SessionLocation:
    """Return where a row stands in the list.

    Group number ascending, unassigned people last; in a group the leader first; then
    grade descending; then name, by code point; then id.
    """
    unassigned = row.gbs_number is None
    return (
        unassigned,
        row.gbs_number or 0,
        unassigned or not row.is_leader,
        -row.grade_number,
        row.name,
        row.id,
    )
