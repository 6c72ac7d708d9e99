"""The command ``events``: prints what operators are notified of, as it happens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, NoReturn

import typer

from gbs_actor.cli.admin_client import (
    AdminClient,
    AdminRequestFailed,
    NodeOption,
    Parameters,
    TokenOption,
    UrlOption,
    admin_client,
)
from gbs_actor.cli.failures import expected_failures
from gbs_actor.cli.output import Output, echo_json, echo_styled
from gbs_actor.cli.settings import ConfigOption, load_settings

_STYLES: Final = {"info": "green", "warning": "yellow", "error": "bold red"}
_WIDTH: Final = 22
"""Columns for the kind."""
_INTERVAL: Final = 2.0
"""Seconds between two looks for events of a server that is asked through another one."""

Write = Callable[[dict[str, Any]], None]
"""Writes an event, or a gap: ``run`` and ``missed``."""


async def follow(client: AdminClient, params: Parameters, last: int, write: Write) -> None:
    """Write the last events, and then each one as it happens, until cancelled.

    It reconnects by itself once it was connected.

    :param params: which events; see ``/admin/events``. Of a ``node`` they come some seconds late.
    :param last: how many of the past ones.
    :raises AdminRequestFailed: the server refuses, or cannot be reached at first.
    """
    import trio

    from gbs_actor.concurrency import Backoff

    page = await client.get("/events", {**params, "limit": max(last, 1)})
    for event in page["events"] if last else ():
        write(event)
    if params.get("node") is not None:
        await _ask_again_and_again(client, params, page, write)
    position = f"{page['run']}-{page['last']}"
    reconnect = Backoff(initial=0.5, maximum=10.0)
    delays = reconnect.delays()
    while True:
        try:
            async with client.stream("/events", params, last_event_id=position) as events:
                async for event in events:
                    write(event.data)
                    position = event.id or position
                    delays = reconnect.delays()
        except AdminRequestFailed as failed:
            if not failed.temporary:
                raise
        await trio.sleep(next(delays))


async def _ask_again_and_again(
    client: AdminClient, params: Parameters, page: Any, write: Write
) -> NoReturn:
    """Write what happens on a server that another one asks, as that has no stream of it.

    :param page: the last one.
    """
    import trio

    while True:
        await trio.sleep(_INTERVAL)
        run, last = page["run"], page["last"]
        try:
            page = await client.get("/events", {**params, "after": f"{run}-{last}"})
        except AdminRequestFailed as failed:
            if failed.temporary or failed.status in (404, 429):  # 404: it may come back
                continue
            raise
        if page["run"] != run:
            write({"run": page["run"], "missed": None})
        elif page["missed"]:
            write({"run": run, "missed": page["missed"]})
        for event in page["events"]:
            write(event)


def _write_text(data: dict[str, Any]) -> None:
    if "missed" in data:
        missed = "unknown how many" if data["missed"] is None else data["missed"]
        echo_styled((f"-- events missed: {missed} --", "yellow"))
        return
    at = datetime.fromtimestamp(data["at"]).astimezone()
    echo_styled(
        (f"{at:%H:%M:%S} ", "dim"),
        (f"{data['kind']:<{_WIDTH}} ", _STYLES.get(data["severity"], "")),
        (data["text"], ""),
        (_about(data), "dim"),
    )


def _about(data: dict[str, Any]) -> str:
    """Return the ids and details of an event."""
    fields = {"room": data["room"], "user": data["userId"], "sid": data["sid"], **data["details"]}
    return "".join(f" {name}={value}" for name, value in fields.items() if value not in (None, ""))


def events(
    kind: Annotated[
        str | None,
        typer.Option(help="Only kinds that begin with this, or one of these: room.,limit.hit"),
    ] = None,
    room: Annotated[str | None, typer.Option(help="Only events of this room.")] = None,
    user: Annotated[int | None, typer.Option(min=1, help="Only events about this user.")] = None,
    last: Annotated[
        int, typer.Option("--last", "-n", min=0, max=500, help="Past events to begin with.")
    ] = 10,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="Lines to read, or of JSON.")
    ] = Output.TEXT,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    node: NodeOption = None,
) -> None:
    """Print what operators are notified of, as it happens. Ctrl-C ends it.

    Rooms that start, crash and fail, clients that do not keep up or are refused, limits that
    are hit. It reconnects by itself, and says so if it has missed any.
    """
    params: Parameters = {"kind": kind, "room": room, "user": user, "node": node}

    async def run() -> None:
        async with admin_client(load_settings(config), url, token) as client:
            write = echo_json if output is Output.JSON else _write_text
            await follow(client, params, last, write)

    with expected_failures():
        import trio

        trio.run(run)
