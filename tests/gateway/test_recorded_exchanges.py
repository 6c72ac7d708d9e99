"""Routes and events answer as they did before there were bulk edits, byte for byte.

``recorded_exchanges.txt`` was recorded from the server of then. It changes only together with
the contract: existing pages rely on it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from gbs_actor.gateway.http import create_app
from tests.gateway.serving import LINE_UP, SLUG, Transport, world

RECORDED = Path(__file__).with_name("recorded_exchanges.txt")
_TIME = re.compile(r"20\d\d-\d\d-\d\dT[0-9:.]+Z")
_EPOCH = re.compile(r'"epoch":"[^"]*"')

REQUESTS: tuple[tuple[str, str, object, dict[str, str]], ...] = (
    ("GET", "/user-lineups", None, {}),
    ("PUT", "/user-lineups/2", {"gbsNumber": 3}, {}),
    ("POST", "/assign-gbs", {"userRetreatRegistrationId": 3, "gbsNumber": 3}, {}),
    ("PUT", "/user-lineups/1", {"gbsNumber": 3}, {}),
    ("PUT", "/user-lineups/2", {"gbsNumber": 5}, {"If-Match": "0"}),
    ("PUT", "/user-lineups/77", {"gbsNumber": 5}, {}),
    ("POST", "/2/lineup-memo", {"memo": "x", "color": "#FFCC00"}, {}),
    ("POST", "/2/lineup-memo", {"memo": "y"}, {}),
    ("PUT", "/1/lineup-memo", {"memo": "z"}, {}),
    ("DELETE", "/1/lineup-memo", None, {}),
    ("DELETE", "/1/lineup-memo", None, {}),
    ("PUT", "/user-lineups/2", {"gbsNumber": 0}, {}),
    ("PUT", "/user-lineups/2", {}, {}),
    ("GET", "/user-lineups?since=2", None, {}),
    ("GET", "/user-lineups?since=x", None, {}),
    ("PUT", "/user-lineups/2", {"gbsNumber": 3}, {}),
    ("POST", "/nothing", {}, {}),
)
EVENTS: tuple[tuple[str, object], ...] = (
    ("update-gbs-number", {"lineupId": 2, "gbsNumber": 3}),
    ("update-gbs-number", {"lineupId": 1, "gbsNumber": 3}),
    ("update-gbs-number", {"lineupId": 2, "gbsNumber": 5, "baseRevision": 0}),
    ("create-lineup-memo", {"lineupId": 2, "memo": "x"}),
    ("create-lineup-memo", {"lineupId": 2, "memo": "y"}),
    ("update-lineup-memo", {"memoId": 1, "memo": "z"}),
    ("delete-lineup-memo", {"memoId": 1}),
    ("delete-lineup-memo", {"memoId": 1}),
    ("user-editing", {"lineupId": 2}),
    ("nothing", {}),
    ("join-retreat", SLUG),
    ("leave-retreat", SLUG),
    ("update-gbs-number", {}),
)


def _stable(text: str) -> str:
    return _EPOCH.sub('"epoch":"E"', _TIME.sub("T", text))


async def _over_http() -> list[str]:
    lines = []
    async with world() as here:
        client = create_app(here.services).test_client()
        for method, path, content, headers in REQUESTS:
            ask = getattr(client, method.lower())
            data = b"" if content is None else json.dumps(content).encode()
            sent = {**here.bearer(), "Content-Type": "application/json", **headers}
            response = await ask(LINE_UP + path, headers=sent, data=data)
            body = _stable(await response.get_data(as_text=True))
            names = sorted(name for name, _ in response.headers)
            lines.append(f"{method} {path} {response.status_code} {body} {names}")
    return lines


async def _over(transport: Transport) -> list[str]:
    lines = []
    async with (
        world() as here,
        here.joined_by(transport) as peer,
        here.joined_by(transport, user_id=8) as other,
    ):
        for name, argument in EVENTS:
            ack = json.dumps(
                (await peer.call(name, argument)).content, ensure_ascii=False, separators=(",", ":")
            )
            lines.append(f"{transport} {name} {_stable(ack)}")
        updates = json.dumps(other.named("lineup-updated"), ensure_ascii=False)
        lines.append(_stable(updates))
    return lines


async def test_they_answer_as_recorded() -> None:
    lines = [*await _over_http(), *await _over("socketio"), *await _over("plain")]
    assert lines == RECORDED.read_text().splitlines()
