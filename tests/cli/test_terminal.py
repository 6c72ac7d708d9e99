"""What users chose does nothing to the terminal of an operator who looks on."""

from __future__ import annotations

from pathlib import Path

import pytest

import gbs_actor.cli
from gbs_actor.auth import Role, mint
from gbs_actor.client import connect
from gbs_actor.demo.secret import demo_secret
from tests.cli.demo_process import Demo
from tests.cli.pty_process import on_terminal
from tests.observability.test_terminal import C1_CLEAR, CLEAR, CLIPBOARD, REVERSED, STYLING, dangers

RETREAT = "2024-winter"
EVIL = f"[red]{CLIPBOARD}{CLEAR}{C1_CLEAR}{REVERSED}\n12:00:00 [link=http://evil]r9\u2028[/red]"


def token(demo: Demo, name: str) -> str:
    return mint(demo_secret(demo.data), user_id=66, name=name, role=Role.LINEUP_STAFF)


@pytest.mark.parametrize("options", [(), ("--json",)])
async def test_tail_shows_controls_instead_of_obeying_them(
    demo: Demo, options: tuple[str, ...]
) -> None:
    arguments = ("tail", RETREAT, "--url", demo.url, "--token", token(demo, "looks on"), *options)
    with on_terminal(*arguments, data=demo.data) as terminal:
        await terminal.until("revision" if options else "the list:")
        async with connect(demo.url, token(demo, EVIL)) as client:
            await client.join(RETREAT)
            row = next(row for row in client.rows if not row.is_leader and not row.lineup_memo)
            await client.mark_editing(row.id, CLIPBOARD)
            noted = await client.create_memo(row.id, EVIL)
            written = await terminal.until("[link=")
            assert noted.lineup_memo_id is not None
            await client.delete_memo(noted.lineup_memo_id)
    assert dangers(written) <= {"\r", "\n"}, "the line ends of the terminal itself"
    assert "[red]" in written


async def test_a_refusal_shows_controls_instead_of_obeying_them(demo: Demo) -> None:
    arguments = ("tail", EVIL, "--url", demo.url, "--token", token(demo, "looks on"))
    with on_terminal(*arguments, data=demo.data) as terminal:
        written = await terminal.until("RETREAT_NOT_FOUND")
    assert dangers(STYLING.sub("", written)) <= {"\r", "\n"}


def test_every_command_writes_through_one_function() -> None:
    folder = Path(gbs_actor.cli.__file__).parent
    writers = [path.name for path in folder.glob("*.py") if "typer.echo(" in path.read_text()]
    assert writers == ["output.py"]
