"""The output of ``serve`` once clients can connect; in the demo, with commands to try."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from gbs_actor.cli.output import echo
from gbs_actor.roles import Role
from gbs_actor.settings import Settings

if TYPE_CHECKING:
    from gbs_actor.server.listening import BoundAddress

DEMO_RETREAT = "2024-winter"

log = structlog.get_logger(__name__)


def base_url(host: str, port: int, *, tls: bool) -> str:
    """Return the URL to reach a bound address from this machine.

    :param tls: whether it is served over TLS.
    """
    scheme = "https" if tls else "http"
    if host in {"0.0.0.0", "::"}:  # noqa: S104  (nothing listens here)
        host = "localhost"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def own_command() -> str:
    """Return the command that runs this program, which may be outside the PATH."""
    program = Path(sys.argv[0])
    return str(program) if program.name == "gbs-actor" else "python -m gbs_actor.cli"


def demo_banner(
    url: str, admin_url: str, token: str, operator_token: str, *, has_sign_in: bool
) -> str:
    """Return the demo's banner: plain text, every command of it ready to be copied.

    :param has_sign_in: whether the line-up page lets everybody in.
    """
    page = f"Edit the line-up, in two windows as two people: {url}/\n\n" if has_sign_in else ""
    rows = f"{url}/api/v1/retreat/{DEMO_RETREAT}/line-up/user-lineups"
    return f"""
{page}gbs-actor is up: {url}
Retreat {DEMO_RETREAT} has 80 people, 2024-summer 600. Ctrl-C stops the server.

A member of the line-up staff, for 30 days:
export TOKEN={token}
An operator, for 30 days:
export ADMIN={operator_token}

The list over HTTP:
  curl -H "Authorization: Bearer $TOKEN" {rows}
Follow a room live, here or in another terminal:
  {own_command()} tail {DEMO_RETREAT} --url {url} --token "$TOKEN"
Look into the room:
  curl -H "Authorization: Bearer $ADMIN" {admin_url}/admin/rooms/{DEMO_RETREAT}
From Node or a page (npm install socket.io-client):
  const {{ io }} = require("socket.io-client");
  const socket = io("{url}/gbs-lineup",
    {{ transports: ["websocket"], auth: {{ token: process.env.TOKEN }} }});
  socket.on("lineup-updated", (row) => console.log(row.name, row.gbsNumber));
  socket.on("connect_error", (error) => console.log(error.message, error.data));
  socket.emit("join-retreat", "{DEMO_RETREAT}", ({{ status, data, revision }}) => {{
    console.log(status, data.length, "people, revision", revision);
    const {{ id }} = data.find((row) => !row.isLeader);
    socket.emit("update-gbs-number", {{ lineupId: id, gbsNumber: 7 }}, console.log);
  }});
"""


def announce(settings: Settings, addresses: Sequence[BoundAddress], *, demo: bool) -> None:
    """Log the server's addresses; in the demo also print the banner, tokens included."""
    tls = settings.server.tls
    urls = [base_url(address.host, address.port, tls=tls) for address in addresses]
    log.info("Serving", urls=urls, demo=demo)
    if not demo or settings.auth.jwt_secret is None:
        return
    from gbs_actor.cli.tokens import make_token
    from gbs_actor.demo import DEMO_TOKEN_TIME
    from gbs_actor.demo.secret import has_demo_secret

    tokens = [
        make_token(settings, user_id=user_id, name=name, role=role, expires_in=DEMO_TOKEN_TIME)
        for user_id, name, role in (
            (7, "데모 담당자", Role.LINEUP_STAFF),
            (8, "데모 관리자", Role.ADMIN_MINISTER),
        )
    ]
    admin = settings.admin.address
    admin_url = urls[0] if admin is None else base_url(*admin, tls=tls)
    has_sign_in = settings.page.serve_page and has_demo_secret(settings)
    echo(*demo_banner(urls[0], admin_url, *tokens, has_sign_in=has_sign_in).split("\n"))
