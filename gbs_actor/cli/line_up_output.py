"""What the commands on a line-up print for people. Nothing in it can act on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from gbs_actor.cli.output import echo

MOST_LINES: Final = 200
"""Lines of a table."""

_FIELDS: Final = {
    "gbsNumber": "조번호",
    "isLeader": "리더",
    "currentLeader": "현리더",
    "lineupNumber": "No.",
    "lineupMemo": "메모",
    "gbsMemo": "조 메모",
    "exists": "조",
}


def write_preview(preview: Mapping[str, Any]) -> None:
    """Write what an import would change, and what stands in its way."""
    layout = preview["layout"]
    if layout is not None:
        echo(f"{layout['sheet'] or 'Text'}: header in row {layout['headerRow']}")
    changes = preview["changes"]
    _table(
        ("row", "name", "field", "from", "", "to", "conflict"),
        (
            (
                str(each["row"]),
                each["name"],
                _FIELDS.get(each["field"], each["field"]),
                _shown(each["from"]),
                "→",
                _shown(each["to"]),
                _conflict(each["field"], each["conflict"]),
            )
            for each in changes
        ),
        len(changes),
    )
    conflicts = {each["registrationId"] for each in changes if each["conflict"] is not None}
    if conflicts:
        people = _count(len(conflicts), "person", "people")
        echo(f"Others have changed {people} of these since the export.")
    write_problems("block", preview["blocks"])
    write_problems("warning", preview["warnings"])
    write_problems("notice", preview["notices"])


def write_problems(kind: str, problems: Sequence[Mapping[str, Any]]) -> None:
    """Write the blocks or warnings of an import."""
    if not problems:
        return
    echo(f"{_count(len(problems), kind)}:")
    _table(
        ("row", "name", ""),
        (
            ("" if each["row"] is None else str(each["row"]), each["name"], each["message"])
            for each in problems
        ),
        len(problems),
    )


def write_left_out(problems: Sequence[Mapping[str, Any]], names: Mapping[int, str]) -> None:
    """Write what was, or would be, left out of a change of many fields, and why.

    :param names: of people, by registration.
    """
    _table(
        ("name", "field", "now", ""),
        (
            (
                names.get(each["registrationId"] or 0) or _subject(each),
                _FIELDS.get(each["field"] or "", each["field"] or ""),
                _shown(each["theirs"]),
                each["message"],
            )
            for each in problems
        ),
        len(problems),
    )


def write_history(page: Mapping[str, Any]) -> None:
    """Write a line for each change."""
    for change in page["changes"]:
        at = datetime.fromisoformat(change["at"]).astimezone()
        who = "the server" if change["by"] is None else change["by"]["userName"]
        echo(f"r{change['revision']} {at:%Y-%m-%d %H:%M:%S} {who}: {_described(change)}")
    if page["next"] is not None:
        echo(f"There are older ones: --before {page['next']}")
    elif page["oldestRevision"]:
        echo(f"Changes up to r{page['oldestRevision']} were pruned.")


def write_result(result: Mapping[str, Any], names: Mapping[int, str]) -> None:
    """Write what a change of many fields came to."""
    echo(f"r{result['revision']}: {_count(result['updatedCount'], 'person', 'people')} changed")
    if result["createdGbsNumbers"]:
        echo(f"groups created: {', '.join(map(str, result['createdGbsNumbers']))}")
    left_out = [*result["conflicts"], *result["skipped"]]
    if left_out:
        echo(f"{len(left_out)} left out:")
        write_left_out(left_out, names)


def _conflict(field: str, conflict: Mapping[str, Any] | None) -> str:
    """Return what somebody else has changed, in a field or in another one of the person."""
    if conflict is None:
        return ""
    if conflict["code"] != "CONFLICT":
        return str(conflict["message"])
    other = conflict["field"]
    of = "" if other == field else f"{_FIELDS.get(other, other)} "
    by = f" ({conflict['changedBy']})" if conflict["changedBy"] else ""
    return f"{of}{_shown(conflict['theirs'])}{by}"


def _described(change: Mapping[str, Any]) -> str:
    values = [
        f"{_subject(after)} {_FIELDS.get(after['field'], after['field'])} "
        f"{_shown(before['value'])} → {_shown(after['value'])}"
        for before, after in zip(change["before"], change["after"], strict=True)
        if before["value"] != after["value"]
    ]
    undone = f" of r{change['undoes']}" if change["undoes"] else ""
    more = f", and {len(values) - 3} more" if len(values) > 3 else ""
    return f"{change['kind']}{undone} {', '.join(values[:3])}{more}".rstrip()


def _subject(each: Mapping[str, Any]) -> str:
    if each.get("registrationId"):
        return f"#{each['registrationId']}"
    return f"group {each['gbsNumber']}" if each.get("gbsNumber") else ""


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        value = value.get("memo") or value.get("color")
    if isinstance(value, bool):
        return "O" if value else "-"
    return "-" if value in {None, ""} else str(value)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _table(titles: Iterable[str], rows: Iterable[Sequence[str]], count: int) -> None:
    """Write rows in columns; of too many, the first ones."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from gbs_actor.observability import visible

    if not count:
        return
    table = Table(*titles, box=None, pad_edge=False)
    for number, cells in enumerate(rows):
        if number == MOST_LINES:
            break
        table.add_row(*(Text(visible(cell)) for cell in cells))
    Console(highlight=False).print(table)
    if count > MOST_LINES:
        echo(f"… and {count - MOST_LINES:,} more")
