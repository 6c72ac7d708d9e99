"""The commands below ``admin``: what operators see of a running server, and do to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from gbs_actor.cli.admin_client import (
    AdminClient,
    NodeOption,
    Parameters,
    TokenOption,
    UrlOption,
    admin_client,
)
from gbs_actor.cli.admin_output import (
    write_audit,
    write_levels,
    write_nodes,
    write_profile,
    write_result,
    write_rooms,
)
from gbs_actor.cli.failures import expected_failures
from gbs_actor.cli.output import Output, echo_json
from gbs_actor.cli.settings import ConfigOption, load_settings

admin = typer.Typer(no_args_is_help=True)
_room = typer.Typer(no_args_is_help=True)
_session = typer.Typer(no_args_is_help=True)
_user = typer.Typer(no_args_is_help=True)
_trace = typer.Typer(no_args_is_help=True)
admin.add_typer(_room, name="room", help="Restart, recover, stop or drain a room.")
admin.add_typer(_session, name="session", help="Act on the session of a client.")
admin.add_typer(_user, name="user", help="Act on all sessions of a user.")
admin.add_typer(_trace, name="trace", help="Log each event of a user or session for minutes.")

_PROFILE_SECONDS: Final = 15
"""Longest profile: its response must come before the client's timeout."""


class Level(StrEnum):
    """Levels of the log."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class _Server:
    """Where the commands send their requests."""

    url: str | None
    token: str | None
    config: Path | None
    node: str | None
    """The one of several servers that is asked through it; ``None``: it is asked itself."""


Write = Callable[[Any], None]
Slug = Annotated[str, typer.Argument(metavar="SLUG", help="The retreat, e.g. 2024-winter.")]
Sid = Annotated[str, typer.Argument(metavar="SID", help="The session.")]
UserId = Annotated[int, typer.Argument(metavar="USER", min=1, help="The user's id.")]
Minutes = Annotated[int, typer.Option(min=1, max=120, help="For how long.")]
TraceMinutes = Annotated[int, typer.Option(min=1, max=60, help="For how long.")]
WithMemos = Annotated[bool, typer.Option(help="With what is typed.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print what it would do.")]
OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="For people, or the response as JSON.")
]


@admin.callback()
def server(
    context: typer.Context,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    node: NodeOption = None,
) -> None:
    """See a running server, and act on it, as an operator; each action goes into the audit."""
    context.obj = _Server(url, token, config, node)


# Servers


@admin.command()
def nodes(context: typer.Context, output: OutputOption = Output.TEXT) -> None:
    """List the servers on the database."""
    _get(context, "/nodes", {}, output, write_nodes)


# Rooms


@admin.command()
def rooms(
    context: typer.Context,
    search: Annotated[str, typer.Option(help="Only slugs with this in them.")] = "",
    sort: Annotated[str, typer.Option(help="A figure; with - the highest come first.")] = "slug",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500)] = 50,
    output: OutputOption = Output.TEXT,
) -> None:
    """List the open rooms."""
    params: Parameters = {"search": search, "sort": sort, "limit": limit}
    _get(context, "/rooms", params, output, write_rooms)


def _room_command(action: str, meaning: str) -> None:
    """Add a command that acts on a room."""

    @_room.command(action, help=meaning)
    def act(
        context: typer.Context,
        slug: Slug,
        reason: Reason,
        dry_run: DryRun = False,
        output: OutputOption = Output.TEXT,
    ) -> None:
        _act(context, f"/rooms/{_quoted(slug)}/{action}", {"reason": reason}, dry_run, output)


_room_command("restart", "Load a room anew, after the batch in hand; clients stay in it.")
_room_command("recover", "Start a room that has crashed at once, and count its crashes anew.")
_room_command(
    "stop", "Finish what was submitted, and stop a room; its clients reconnect, and open it again."
)
_room_command("drain", "Stop a room, and let its clients reconnect one after the other.")


# Clients


@_session.command("kick")
def kick_session(
    context: typer.Context,
    sid: Sid,
    reason: Reason,
    dry_run: DryRun = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Disconnect a client; it does not reconnect by itself."""
    _act(context, f"/sessions/{_quoted(sid)}/kick", {"reason": reason}, dry_run, output)


@_user.command("kick")
def kick_user(
    context: typer.Context,
    user: UserId,
    reason: Reason,
    dry_run: DryRun = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Disconnect all clients of a user; they do not reconnect by themselves."""
    _act(context, f"/users/{user}/kick", {"reason": reason}, dry_run, output)


@_trace.command("user")
def trace_user(
    context: typer.Context,
    user: UserId,
    reason: Reason,
    minutes: TraceMinutes = 5,
    with_memos: WithMemos = False,
    dry_run: DryRun = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Trace all sessions of a user."""
    _act(context, "/traces", _traced(minutes, with_memos, reason, userId=user), dry_run, output)


@_trace.command("session")
def trace_session(
    context: typer.Context,
    sid: Sid,
    reason: Reason,
    minutes: TraceMinutes = 5,
    with_memos: WithMemos = False,
    dry_run: DryRun = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Trace one session."""
    _act(context, "/traces", _traced(minutes, with_memos, reason, sid=sid), dry_run, output)


def _traced(minutes: int, with_memos: bool, reason: str, **target: int | str) -> dict[str, Any]:
    return {**target, "minutes": minutes, "withMemos": with_memos, "reason": reason}


@_trace.command("stop")
def stop_trace(
    context: typer.Context,
    reason: Reason,
    user: Annotated[int | None, typer.Option(min=1, help="The trace of this user.")] = None,
    session: Annotated[str | None, typer.Option(help="The trace of this session.")] = None,
    dry_run: DryRun = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Stop the trace of a user or of a session before its time."""
    body = {"userId": user, "sid": session, "reason": reason}
    _act(context, "/traces/stop", body, dry_run, output)


# The server


@admin.command()
def drain(
    context: typer.Context,
    reason: Reason,
    dry_run: DryRun = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Stop the server as SIGTERM does."""
    _act(context, "/drain", {"reason": reason}, dry_run, output)


@admin.command("log-levels")
def log_levels(context: typer.Context, output: OutputOption = Output.TEXT) -> None:
    """List the levels that loggers have for some time."""
    _get(context, "/log-levels", {}, output, write_levels)


@admin.command("log-level")
def log_level(
    context: typer.Context,
    logger: Annotated[str, typer.Argument(help="Such as gbs_actor.rooms.")],
    level: Annotated[Level, typer.Argument(case_sensitive=False)],
    reason: Reason,
    minutes: Minutes = 10,
    dry_run: DryRun = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Change the level of a logger for some minutes."""
    body = {"logger": logger, "level": level, "minutes": minutes, "reason": reason}
    _act(context, "/log-level", body, dry_run, output)


@admin.command()
def profile(
    context: typer.Context,
    reason: Reason,
    seconds: Annotated[int, typer.Option(min=1, max=_PROFILE_SECONDS)] = 10,
    dry_run: DryRun = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show what the event loop does for some seconds, and its slowest steps."""
    body = {"seconds": seconds, "reason": reason}
    _act(context, "/profile", body, dry_run, output, write_profile)


@admin.command()
def audit(
    context: typer.Context,
    operator: Annotated[str | None, typer.Option(help="Only this user id or name.")] = None,
    action: Annotated[str | None, typer.Option(help="Only actions that begin so.")] = None,
    target: Annotated[str | None, typer.Option(help="Only on this.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500)] = 20,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show what operators did and looked at, and what was refused; the newest first."""
    params = {"operator": operator, "action": action, "target": target, "limit": limit}
    _get(context, "/audit", params, output, write_audit)


# How it is done


def _quoted(text: str) -> str:
    """Return a text as one segment of a path."""
    from urllib.parse import quote

    if text in (".", ".."):  # rooms/../drain would be /admin/drain
        raise typer.BadParameter(f"nothing is called {text}")
    return quote(text, safe="")


def _get(
    context: typer.Context, path: str, params: Parameters, output: Output, write: Write
) -> None:
    where: _Server = context.obj
    asked = {**params, "node": where.node}
    _request(context, lambda client: client.get(path, asked), output, write)


def _act(
    context: typer.Context,
    path: str,
    body: dict[str, Any],
    dry_run: bool,
    output: Output,
    write: Write = write_result,
) -> None:
    where: _Server = context.obj
    params = {"dry_run": "1" if dry_run else None, "node": where.node}
    _request(context, lambda client: client.post(path, body, params), output, write)


def _request(
    context: typer.Context,
    send: Callable[[AdminClient], Awaitable[Any]],
    output: Output,
    write: Write,
) -> None:
    """Send a request, and write the response."""
    where: _Server = context.obj

    async def run() -> None:
        async with admin_client(load_settings(where.config), where.url, where.token) as client:
            response = await send(client)
        (echo_json if output is Output.JSON else write)(response)

    with expected_failures():
        import trio

        trio.run(run)
