"""What the commands below ``admin`` print for people."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gbs_actor.cli.output import echo


def write_result(result: Any) -> None:
    """Write what an action did, or would do."""
    if result["dryRun"]:
        echo(f"{'Would do' if result['changed'] else 'Nothing to do'}: {result['message']}")
    else:
        echo(result["message"])
    room = result.get("room")
    if room is not None:
        echo(f"{room['slug']}: {room['state']}, {room['subscriberCount']} subscribers")


def write_nodes(listed: Any) -> None:
    """Write a line for each server."""
    for each in listed["nodes"]:
        name, status = each["node"] or "(no name)", each["status"]
        mark = "*" if each["here"] else " "
        echo(f"{mark} {name:<16} {each['state']:<9} {_figures(status)}, {_reported(each)}")


def _reported(node: Any) -> str:
    return "asked now" if node["here"] else f"reported {node['reported']:.0f} s ago"


def _figures(status: Any) -> str:
    if status is None:
        return "of a version that cannot be read"
    edits = status["editsPerSecond"]
    rate = "-" if edits is None else f"{edits:.1f}"
    where = f"{status['address'] or '-'} on {status['host']}, {status['version']}"
    return (
        f"{status['rooms']:>5} rooms  {status['connections']:>6} clients  {rate:>6} edits/s"
        f"  lag {status['loopLag'] * 1_000:.1f} ms  behind {status['behind']:.1f} s  {where}"
    )


def write_rooms(page: Any) -> None:
    """Write a line for each room."""
    for room in page["rooms"]:
        error = f"  {room['lastError']}" if room["lastError"] else ""
        revision = "-" if room["revision"] is None else room["revision"]
        echo(
            f"{room['state']:<10} {room['subscriberCount']:>5} subscribers  r{revision:<7}"
            f" {room['commandsPerSecond']:>7.1f}/s  {room['restarts']} restarts"
            f"  {room['slug']}{_on(room)}{error}"
        )
    echo(f"{len(page['rooms'])} of {page['total']} rooms")


def _on(shown: Any) -> str:
    return "" if shown["node"] is None else f" on {shown['node']}"


def write_levels(levels: Any) -> None:
    """Write a line for each level."""
    for each in levels["temporary"]:
        echo(f"{each['level']:<8} {each['logger']}, until {_at(each['until'])}")
    echo(f"{levels['default']:<8} all others")


def write_profile(result: Any) -> None:
    """Write where the time went."""
    echo(result["message"])
    profile = result["profile"]
    if profile is None:
        return
    echo(f"busy {profile['busy']:.1%}, {profile['stepsPerSecond']:.0f} steps/s")
    for kind in profile["kinds"][:10]:
        echo(f"{kind['seconds']:>8.3f} s  {kind['steps']:>8} steps  {kind['kind']}")
    echo("The slowest steps:")
    for step in profile["slowest"]:
        began, ended = (places[-1] if places else "its end" for places in _places(step))
        echo(f"{step['seconds'] * 1_000:>8.1f} ms  {step['task']}: from {began} to {ended}")


def _places(step: Any) -> tuple[list[str], list[str]]:
    """Return where a step began and ended, without the event loop's own functions."""
    began, ended = (
        [place for place in step[name] if not place.startswith("trio.")] or step[name]
        for name in ("beganAt", "endedAt")
    )
    return began, ended


def write_audit(page: Any) -> None:
    """Write a line for each record."""
    for record in page["records"]:
        at = datetime.fromisoformat(record["at"]).astimezone()
        who = record["operatorName"] or "unknown"
        if record["operatorId"] is not None:
            who += f" (#{record['operatorId']})"
        why = f": {record['reason']}" if record["reason"] else ""
        echo(
            f"{at:%Y-%m-%d %H:%M:%S} {who} at {record['address']}, {record['action']}"
            f" {record['target']} {record['outcome']}{why}"
        )
    if page["next"] is not None:
        echo("There are older ones.")


def _at(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment).astimezone():%H:%M:%S}"
