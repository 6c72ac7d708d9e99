"""The commands ``export``, ``import``, ``history`` and ``undo``: a line-up over the HTTP API."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

import typer

from gbs_actor.cli.failures import WRONG_USAGE, CommandFailed, expected_failures
from gbs_actor.cli.line_up_client import (
    LineUpClient,
    LineUpRequestFailed,
    TokenOption,
    UrlOption,
    line_up_client,
)
from gbs_actor.cli.line_up_output import (
    write_history,
    write_left_out,
    write_preview,
    write_problems,
    write_result,
)
from gbs_actor.cli.output import Output, echo, echo_json
from gbs_actor.cli.settings import ConfigOption, load_settings
from gbs_actor.roles import Role

_STANDARD_STREAM: Final = Path("-")

Slug = Annotated[str, typer.Argument(metavar="SLUG", help="The retreat, e.g. 2024-winter.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before it is carried out.")]
SkipConflicts = Annotated[
    bool,
    typer.Option("--skip-conflicts", help="Leave out what others have changed, and do the rest."),
]


def export(
    slug: Slug,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The .xlsx to write; - for stdout.")],
    template: Annotated[
        bool, typer.Option("--template", help="An example with made-up people instead.")
    ] = False,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
) -> None:
    """Write a line-up to a spreadsheet, which can be edited and imported again."""

    async def run(client: LineUpClient) -> None:
        data = await client.download("/template.xlsx" if template else "/export.xlsx")
        if file == _STANDARD_STREAM:
            sys.stdout.buffer.write(data)
            return
        try:
            file.write_bytes(data)
        except OSError as error:
            raise CommandFailed(f"{file} cannot be written: {error.strerror}.") from None
        echo(f"{file}: {len(data):,} bytes")

    _run(slug, url, token, config, Role.LINEUP_STAFF, run)


def import_sheet(
    slug: Slug,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The sheet; - for stdin.")],
    yes: Yes = False,
    acknowledge: Annotated[
        bool, typer.Option("--acknowledge", help="With --yes: accept the warnings, too.")
    ] = False,
    skip_conflicts: SkipConflicts = False,
    apply_lineup_number: Annotated[
        bool, typer.Option("--line-up-numbers", help="The column No. counts, too.")
    ] = False,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
) -> None:
    """Show what an edited sheet changes, and change it as one edit.

    A cell counts only if it differs from what was exported. Exit code 1: it was not applied.
    """

    async def run(client: LineUpClient) -> None:
        params = {"applyLineupNumber": str(apply_lineup_number).lower()}
        preview = await client.upload("/imports", _read(file), params)
        write_preview(preview)
        if preview["blocks"]:
            raise CommandFailed("The sheet has to be mended before it can be imported.")
        if not preview["changes"]:
            echo("Nothing to change.")
            return
        warnings = len(preview["warnings"])
        if yes and warnings and not acknowledge:
            raise CommandFailed("There are warnings: --acknowledge accepts them.")
        cells = len(preview["changes"])
        despite = f" despite {warnings} warnings" if warnings else ""
        _ask(f"Change {cells:,} cells{despite}?", yes)
        names = {each["registrationId"]: each["name"] for each in preview["changes"]}
        path = f"/imports/{preview['importId']}/apply"
        body = {"acknowledge": True, "onConflict": "skip" if skip_conflicts else "refuse"}
        write_result(await _apply(client, path, body, names, yes), names)

    _run(slug, url, token, config, Role.LINEUP_STAFF, run)


async def _apply(
    client: LineUpClient, path: str, body: dict[str, Any], names: Mapping[int, str], yes: bool
) -> Any:
    """Apply what was shown; ask anew where something new stands in the way."""
    while True:
        try:
            return await client.post(path, body)
        except LineUpRequestFailed as error:
            if error.code == "NOT_ACKNOWLEDGED" and not yes:
                write_problems("new warning", error.body["warnings"])
                _ask("Change them all the same?", yes)
            elif "problems" in error.body:
                write_left_out(error.body["problems"], names)
                if yes or body["onConflict"] == "skip":
                    raise
                _ask("Leave these out, and change the rest?", yes)
                body["onConflict"] = "skip"
            else:
                write_problems("block", error.body.get("blocks", ()))
                write_problems("new warning", error.body.get("warnings", ()))
                raise


def history(
    slug: Slug,
    before: Annotated[
        int | None, typer.Option(min=1, help="Only changes before this revision.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200)] = 20,
    registration: Annotated[int | None, typer.Option(min=1, help="Only of this person.")] = None,
    group: Annotated[int | None, typer.Option(min=1, help="Only of this group.")] = None,
    user: Annotated[int | None, typer.Option(min=1, help="Only those this user made.")] = None,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="For people, or the response as JSON.")
    ] = Output.TEXT,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
) -> None:
    """Show who has changed what, the newest first."""
    params = {
        "before": before,
        "limit": limit,
        "registrationId": registration,
        "gbsNumber": group,
        "userId": user,
    }

    async def run(client: LineUpClient) -> None:
        page = await client.get("/history", params)
        if output is Output.JSON:
            echo_json(page)
        else:
            write_history(page)

    _run(slug, url, token, config, Role.LINEUP_STAFF, run)


def undo(
    slug: Slug,
    change: Annotated[
        str, typer.Argument(metavar="CHANGE", help="A revision, as history shows it, or commandId.")
    ],
    yes: Yes = False,
    skip_conflicts: SkipConflicts = False,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
) -> None:
    """Put back what a change has written. The undo of an undo is a redo."""

    async def run(client: LineUpClient) -> None:
        body: dict[str, Any] = {
            "idempotencyKey": str(uuid4()),
            "onConflict": "skip" if skip_conflicts else "refuse",
        }
        revision = change.removeprefix("r")
        if revision.isascii() and revision.isdigit():
            page = await client.get("/history", {"before": int(revision) + 1, "limit": 1})
            body |= {"revision": int(revision), "epoch": page["epoch"]}
            if page["changes"] and page["changes"][0]["revision"] == int(revision):
                write_history({**page, "next": None, "oldestRevision": 0})
        else:
            body["commandId"] = _command_id(change)
        _ask("Undo it?", yes)
        write_result(await _apply(client, "/undo", body, {}, yes), {})

    _run(slug, url, token, config, Role.ADMIN_MINISTER, run)


def _command_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise CommandFailed(f"{text} is neither a revision nor a commandId.", WRONG_USAGE) from None


def _ask(question: str, yes: bool) -> None:
    """Return if the answer is yes.

    :raises CommandFailed: it is no, or there is nobody to ask.
    """
    if yes:
        return
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        raise CommandFailed("Nobody has answered; --yes does it without asking.") from None
    if not agreed:
        raise CommandFailed("Nothing was changed.")


def _read(file: Path) -> bytes:
    if file == _STANDARD_STREAM:
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise CommandFailed(f"{file} cannot be read: {error.strerror}.") from None


def _run(
    slug: str,
    url: str | None,
    token: str | None,
    config: Path | None,
    role: Role,
    act: Callable[[LineUpClient], Awaitable[None]],
) -> None:
    import trio

    with expected_failures():
        settings = load_settings(config)

        async def run() -> None:
            async with line_up_client(settings, slug, url, token, role) as client:
                await act(client)

        trio.run(run)
