"""An operator's browser, or script, in front of the HTTP side."""

from __future__ import annotations

from typing import Any

from quart import Response
from werkzeug.datastructures import Headers

from gbs_actor.auth import Role
from gbs_actor.gateway.http import create_app
from tests.gateway.site import Site, body, services_over
from tests.gateway.world import World

OWN = "http://localhost"
"""The origin under which Quart's test client reaches the app."""


async def ask(
    here: Site, method: str, path: str, headers: dict[str, str] | Headers | None = None
) -> Response:
    """Send a request with these headers and no others: no cookie is kept from another one."""
    client = here.app.test_client(use_cookies=False)
    response = await getattr(client, method.lower())(path, headers=headers)
    assert isinstance(response, Response)
    return response


def cookie_of(response: Response) -> str:
    """Return the value of the session's cookie that a response sets."""
    (field,) = response.headers.getlist("Set-Cookie")
    return field.removeprefix("adminSession=").partition(";")[0]


class Browser:
    """A page of the server's own, with a session."""

    def __init__(self, here: Site, cookie: str, csrf_token: str) -> None:
        self.here = here
        self.cookie = cookie
        self.csrf_token = csrf_token

    @classmethod
    async def log_in(
        cls, here: Site, bearer: dict[str, str] | None = None, **token: Any
    ) -> Browser:
        """Begin a session, by default that of an operator of everything."""
        bearer = bearer or here.bearer(**({"role": Role.ADMIN_MINISTER} | token))
        response = await ask(here, "POST", "/admin/session", bearer)
        assert response.status_code == 200
        return cls(here, cookie_of(response), (await body(response))["csrfToken"])

    def headers(self, **changes: str | None) -> dict[str, str]:
        """Return what a page of the server's own sends; ``None``: all but that."""
        sent: dict[str, str | None] = {
            "Cookie": f"adminSession={self.cookie}",
            "Origin": OWN,
            "X-CSRF-Token": self.csrf_token,
        }
        sent |= {name.replace("_", "-"): value for name, value in changes.items()}
        return {name: value for name, value in sent.items() if value is not None}

    async def get(self, path: str) -> Response:
        return await ask(self.here, "GET", path, {"Cookie": f"adminSession={self.cookie}"})


def site_over(here: World) -> Site:
    """Return the HTTP side beside clients of both protocols."""
    parts, realtime = here.parts, here.realtime
    services = services_over(
        parts,
        realtime.clients,
        realtime.dispatch,
        realtime.closed,
        sockets=here.sockets,
        plain=here.plain,
    )
    app = create_app(services)
    return Site(parts, app, app.test_client(), services)
