"""An operator's browser, or script, in front of the HTTP side."""

from __future__ import annotations

from typing import Any

from websockets.datastructures import HeadersLike

from gbs_actor.auth import Role
from gbs_actor.testing import HttpReply
from tests.gateway.serving import World

OWN = "http://lineup.test"
"""The origin of the server."""


async def ask(here: World, method: str, path: str, headers: HeadersLike | None = None) -> HttpReply:
    """Send a request with these headers and no others."""
    return await here.server.http(method, path, user=None, headers=headers)


def cookie_of(response: HttpReply) -> str:
    """Return the value of the session's cookie that a response sets."""
    return response.headers["Set-Cookie"].removeprefix("adminSession=").partition(";")[0]


class Browser:
    """A page of the server's own, with a session."""

    def __init__(self, here: World, cookie: str, csrf_token: str) -> None:
        self.here = here
        self.cookie = cookie
        self.csrf_token = csrf_token

    @classmethod
    async def log_in(
        cls, here: World, bearer: dict[str, str] | None = None, **token: Any
    ) -> Browser:
        """Begin a session, by default that of an operator of everything."""
        bearer = bearer or here.bearer(**({"role": Role.ADMIN_MINISTER} | token))
        response = await ask(here, "POST", "/admin/session", bearer)
        assert response.status == 200
        return cls(here, cookie_of(response), response.json()["csrfToken"])

    def headers(self, **changes: str | None) -> dict[str, str]:
        """Return what a page of the server's own sends; ``None``: all but that."""
        sent: dict[str, str | None] = {
            "Cookie": f"adminSession={self.cookie}",
            "Origin": OWN,
            "X-CSRF-Token": self.csrf_token,
        }
        sent |= {name.replace("_", "-"): value for name, value in changes.items()}
        return {name: value for name, value in sent.items() if value is not None}

    async def get(self, path: str) -> HttpReply:
        return await ask(self.here, "GET", path, {"Cookie": f"adminSession={self.cookie}"})
