"""What a page shows of the room it is in, from what its client told it."""

from __future__ import annotations

from typing import Any

from tests.e2e.stock_client import StockClient

Row = dict[str, Any]


def shown(client: StockClient) -> dict[int, Row]:
    """Return the rows by id, merged as the page does it: always what came last."""
    rows: dict[int, Row] = {}
    for it in client.happened:
        value = it.value
        if it.name == "lineup-updated":
            rows[value["id"]] = value
        elif it.name == "lineups-updated":
            _apply(rows, value)
        elif it.name == "initial-data":
            rows = {row["id"]: row for row in value}
        elif it.name == "ack" and value["status"] == "OK":
            if "full" in value:
                rows = {
                    **({} if value["full"] else rows),
                    **{row["id"]: row for row in value["data"]},
                }
            elif value["data"] is not None and "id" in value["data"]:
                rows[value["data"]["id"]] = value["data"]
    return rows


def _apply(rows: dict[int, Row], update: dict[str, Any]) -> None:
    """Apply an update in the batch form: rows, then the groups' values to each of their rows."""
    rows |= {row["id"]: row for row in update["rows"]}
    for group in update["groups"]:
        values = {name: group[name] for name in group.keys() - {"gbsNumber", "revision"}}
        for row_id, row in rows.items():
            if row["gbsNumber"] == group["gbsNumber"]:
                rows[row_id] = row | values


def updates(client: StockClient, *, since: int = 0) -> list[Row]:
    """Return the rows that came as updates.

    :param since: how many of what happened do not count.
    """
    return [it.value for it in client.happened[since:] if it.name == "lineup-updated"]


def updates_by_connection(client: StockClient) -> list[list[Row]]:
    """Return the rows that came as updates, one list per connection."""
    found: list[list[Row]] = []
    for it in client.happened:
        if it.name == "connect":
            found.append([])
        elif it.name == "lineup-updated":
            found[-1].append(it.value)
    return found


def join_end(client: StockClient) -> int:
    """Return how many of what happened belong to the join: recent changes and presence, too."""
    return [it.name for it in client.happened].index("room-presence") + 1


def revisions(client: StockClient) -> list[int]:
    """Return the revisions of updates and answers as they came behind the join."""
    return [
        it.value["revision"]
        for it in client.happened[join_end(client) :]
        if it.name == "lineup-updated" or (it.name == "ack" and it.value.get("revision"))
    ]
