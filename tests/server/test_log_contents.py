"""What the log and the operator events have, and what they never have."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from gbs_actor.auth import Role, mint
from gbs_actor.gateway.command_router import CommandRouter
from gbs_actor.observability import OperatorEvents, configure_logging
from gbs_actor.server import composition
from gbs_actor.settings import Settings
from tests.gateway.peer import talking
from tests.gateway.plain_peer import talking_plainly
from tests.gateway.serving import SECRET, SLUG
from tests.server.running import Running, running, settings

MEMO = "memo-XYZZY-비밀"
EMAIL = "marked.address@secret.example"
LINE_UP = f"/api/v1/retreat/{SLUG}/line-up"


@pytest.fixture(params=["json", "console"])
def log(request: pytest.FixtureRequest, logging_as_it_was: None) -> StringIO:
    """What is logged at INFO."""
    stream = StringIO()
    configure_logging(log_level="INFO", log_format=request.param, stream=stream)
    return stream


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> OperatorEvents:
    """The events of the server that the test runs."""
    made = OperatorEvents()
    monkeypatch.setattr(composition, "OperatorEvents", lambda *_, **__: made)
    return made


def slow_settings(**limits: Any) -> Settings:
    """Return settings with which every command is slow."""
    base = settings()
    return base.model_copy(
        update={
            "logging": base.logging.model_copy(update={"slow_command": 1e-9}),
            "limits": base.limits.model_copy(update=limits),
        }
    )


def token(**claims: Any) -> str:
    usual = {"user_id": 7, "role": Role.LINEUP_STAFF, "name": "김하늘", "email": EMAIL}
    given: dict[str, Any] = usual | claims
    return mint(SECRET, **given)


MEMO_EDIT = {"lineupId": 2, "memo": MEMO, "color": "#FF0000"}


async def edit_by_every_way(server: Running) -> list[str]:
    """Make edits with the memo, some of which are rejected; return what they got."""
    got: list[str] = []
    async with talking(await server.stream(), auth={"token": token()}) as peer:
        await peer.call("join-retreat", SLUG)
        for memo in (MEMO, f"another {MEMO}"):
            edit = {**MEMO_EDIT, "memo": memo}
            got.append((await peer.call("create-lineup-memo", edit)).get("code", "OK"))
        wrong = {"lineupId": 2, "memo": {"text": MEMO}, "color": MEMO}
        got.append((await peer.call("create-lineup-memo", wrong))["code"])
        got.append((await peer.call(f"no event {MEMO}", MEMO)).get("code", "OK"))
    async with talking_plainly(await server.stream(), SLUG, token=token()) as plain:
        await plain.event("initial-data")
        edit = {**MEMO_EDIT, "lineupId": 3}
        got.append((await plain.call("create-lineup-memo", edit)).get("code", "OK"))
    async with httpx.AsyncClient(
        base_url=server.url, headers={"Authorization": f"Bearer {token()}"}
    ) as client:
        body = {"memo": MEMO, "color": "#FF0000"}
        for person in (4, 4, 999):
            response = await client.post(f"{LINE_UP}/{person}/lineup-memo", json=body)
            got.append(str(response.status_code))
    return got


async def test_at_info_nothing_has_a_memo_an_email_or_a_token(
    log: StringIO, events: OperatorEvents
) -> None:
    async with running(using=slow_settings()) as server:
        got = await edit_by_every_way(server)
        expired = token(expires_in=-1_000)
        async with talking_plainly(await server.stream(), SLUG, token=expired) as refused:
            await refused.end()
    assert got.count("OK") >= 2, got
    assert {"VALIDATION_FAILED", "CONFLICT", "200", "404"} <= set(got), got
    lines = log.getvalue()
    assert "a command took" in lines
    assert "was refused: TOKEN_EXPIRED" in lines
    shown = msgspec.json.encode(events.after(0)).decode()
    for text in (lines, shown):
        assert "room.started" in text
        for secret in ("XYZZY", "비밀", "marked.address", "secret.example", expired):
            assert secret not in text


async def test_a_line_about_a_command_says_whose_it_is_and_which(
    log: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    command_id = str(uuid4())
    edit = {"lineupId": 2, "gbsNumber": 3, "commandId": command_id}
    async with (
        running() as server,
        talking(await server.stream(), auth={"token": token()}) as peer,
    ):
        await peer.call("join-retreat", SLUG)
        monkeypatch.setattr(CommandRouter, "submit_nowait", broken)
        assert (await peer.call("update-gbs-number", edit))["code"] == "INTERNAL"
    (line,) = (line for line in log.getvalue().splitlines() if "raised" in line)
    fields = {"sid": peer.sid, "room": SLUG, "user_id": 7, "command_id": command_id}
    if line.startswith("{"):
        entry = json.loads(line)
        assert {name: entry[name] for name in fields} == fields
    else:
        for name, value in fields.items():
            assert f"{name}={value}" in line
