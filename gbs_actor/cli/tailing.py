"""The command ``tail``: prints a room's updates live, one per line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from gbs_actor.cli.failures import WRONG_USAGE, CommandFailed, expected_failures
from gbs_actor.cli.output import echo
from gbs_actor.cli.settings import ConfigOption, load_settings
from gbs_actor.cli.tokens import token_of_command
from gbs_actor.roles import Role

if TYPE_CHECKING:
    from gbs_actor.client import Update
    from gbs_actor.lineup.records import Row
    from gbs_actor.settings import Settings

TAIL_TOKEN_TIME = 86_400
"""Seconds that a token made by ``tail`` is valid."""


def _group(number: int | None) -> str:
    return "no group" if number is None else f"group {number}"


def describe(update: Update, former: Mapping[int, Row]) -> str:
    """Return one line for people.

    :param former: rows as they were before the update, by id.
    """
    from gbs_actor.client import EditingMarked, ListReplaced, PresenceChanged, RowUpdated

    match update:
        case RowUpdated(row=row):
            return f"r{row.revision} {row.name} (#{row.id}): {_difference(row, former.get(row.id))}"
        case ListReplaced(rows=rows, revision=revision):
            return f"r{revision} the list: {len(rows)} people"
        case PresenceChanged(users=users, total=total):
            names = ", ".join(user.user_name or f"#{user.user_id}" for user in users)
            return f"{total} in the room: {names}"
        case EditingMarked(user_name=name, editing=editing, lineup_id=row_id, field=field):
            person = former[row_id].name if row_id in former else f"#{row_id}"
            state = "edits" if editing else "no longer edits"
            return f"{name} {state} {person}" + (f", {field}" if field else "")
        case _:
            return f"{update.code}: {update.message}"


def _difference(row: Row, former: Row | None) -> str:
    """Return the changes of a row, for people."""
    parts = []
    if former is None or former.gbs_number != row.gbs_number:
        before = f"{_group(former.gbs_number)} -> " if former else ""
        parts.append(before + _group(row.gbs_number))
    memo = (row.lineup_memo_id, row.lineup_memo, row.lineup_memocolor)
    if former is None or memo != (
        former.lineup_memo_id,
        former.lineup_memo,
        former.lineup_memocolor,
    ):
        color = f" {row.lineup_memocolor}" if row.lineup_memocolor else ""
        if row.lineup_memo_id is not None:
            parts.append(f"memo{color} {json.dumps(row.lineup_memo, ensure_ascii=False)}")
        elif former is not None:
            parts.append("memo deleted")
    if former is not None and former.total_count != row.total_count:
        parts.append(f"{row.total_count} in the group")
    return ", ".join(parts) or "updated"


async def follow(
    url: str, token: str, slug: str, *, as_json: bool, write: Callable[[str], None]
) -> None:
    """Write a line for each update of a room until cancelled.

    :param as_json: only rows, as JSON objects, as pages receive them.
    :param write: called with each line.
    :raises ClientError: the server refuses the client, or cannot be reached.
    """
    import msgspec

    from gbs_actor.client import ListReplaced, RowUpdated, connect

    former: dict[int, Row] = {}
    async with connect(url, token) as client:
        updates = client.updates()
        await client.join(slug)
        async for update in updates:
            rows: tuple[Row, ...] = ()
            if isinstance(update, ListReplaced):
                rows = update.rows
            elif isinstance(update, RowUpdated):
                rows = (update.row,)
            if as_json:
                for row in rows:
                    write(msgspec.json.encode(row).decode())
            else:
                write(f"{datetime.now().astimezone():%H:%M:%S} {describe(update, former)}")
            former |= {row.id: row for row in rows}


def _token(settings: Settings) -> str:
    """Return a token that may only read."""
    return token_of_command(
        settings,
        name="gbs-actor tail",
        role=Role.LEADER_STAFF,
        expires_in=TAIL_TOKEN_TIME,
        variable="GBS_TOKEN",
    )


def tail(
    slug: Annotated[str, typer.Argument(metavar="SLUG", help="The retreat, e.g. 2024-winter.")],
    url: Annotated[
        str | None,
        typer.Option(
            envvar="GBS_URL",
            help="URL of the server. Default: the one that these settings start.",
            show_default=False,
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="GBS_TOKEN",
            help="Token to send. Default: one signed with the server's secret, if known.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per changed row, as pages receive it.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Print the updates of a room: changes, presence, editing marks. Ctrl-C ends it.

    It reconnects by itself, and misses no change.
    """
    with expected_failures():
        import trio

        from gbs_actor.cli.banner import base_url

        settings = load_settings(config)
        if url is not None and urlsplit(url).scheme not in {"http", "https", "ws", "wss"}:
            raise CommandFailed(f"{url} is no URL like http://localhost:8080.", WRONG_USAGE)
        trio.run(
            partial(
                follow,
                url
                or base_url(settings.server.host, settings.server.port, tls=settings.server.tls),
                token or _token(settings),
                slug,
                as_json=as_json,
                write=echo,
            )
        )
