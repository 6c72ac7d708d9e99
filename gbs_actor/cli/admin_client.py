"""The admin API of a running server, for the commands that use it."""

from __future__ import annotations

import getpass
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from gbs_actor.cli.failures import WRONG_USAGE, CommandFailed
from gbs_actor.cli.tokens import make_token
from gbs_actor.roles import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from gbs_actor.settings import Settings

REQUEST_TIMEOUT = 10.0
"""Seconds until a response must have begun, and between two parts of it."""
TOKEN_TIME = 86_400
"""Seconds that a token made here is valid."""

AdminUrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="GBS_ADMIN_URL",
        help="URL of the server. Default: the one that these settings start.",
        show_default=False,
    ),
]
AdminTokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="GBS_ADMIN_TOKEN",
        help="Token of an operator. Default: one signed with the server's secret, if known.",
        show_default=False,
    ),
]


class NoAnswer(CommandFailed):
    """The server cannot be reached, or has not answered in time; it may do so later."""


class AdminClient:
    """Sends requests to a server's ``/admin``; made by :func:`admin_client`.

    Every method raises :exc:`.CommandFailed` with a sentence: :exc:`NoAnswer`, or what the server
    answered.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @property
    def url(self) -> str:
        """The server's address."""
        return str(self._http.base_url).rstrip("/")

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Return the JSON document at a path, such as ``/admin/rooms``."""
        with self._explained():
            return _document(await self._http.get(path, params=params))

    async def post(
        self,
        path: str,
        body: Mapping[str, object],
        params: Mapping[str, str] | None = None,
        *,
        within: float = REQUEST_TIMEOUT,
    ) -> Any:
        """Send a JSON document and return the answer's.

        :param within: seconds until the answer must have begun.
        """
        with self._explained():
            response = await self._http.post(path, json=body, params=params, timeout=within)
            return _document(response)

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        silence: float = 60.0,
    ) -> AsyncIterator[AsyncIterator[str]]:
        """Open a stream of lines, closed at the end of the block.

        :param silence: seconds without a line after which :exc:`NoAnswer` is raised.
        """
        import httpx

        timeout = httpx.Timeout(REQUEST_TIMEOUT, read=silence)
        with self._explained():
            async with self._http.stream(
                "GET", path, params=params, headers=headers, timeout=timeout
            ) as response:
                if response.is_error:
                    await response.aread()
                    _document(response)
                yield response.aiter_lines()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        import httpx

        try:
            yield
        except httpx.TimeoutException:
            raise NoAnswer(f"{self.url} does not answer in time.") from None
        except httpx.HTTPError as error:
            raise NoAnswer(
                f"No server answers at {self.url} ({error or type(error).__name__}): start it, or"
                " give another address by --url."
            ) from None


@asynccontextmanager
async def admin_client(
    settings: Settings, url: str | None, token: str | None, *, command: str
) -> AsyncIterator[AdminClient]:
    """Return a client of a server for the time of a block.

    :param url: of the server; ``None``: the one that the settings start.
    :param token: of an operator; ``None``: the settings' ``admin_token``, or one that is signed
        with the settings' key.
    :param command: what the token's name says, for the audit.
    :raises CommandFailed: there is no token, or the URL is none.
    """
    import httpx

    if url is not None and urlsplit(url).scheme not in {"http", "https"}:
        raise CommandFailed(f"{url} is no URL like http://localhost:8080.", WRONG_USAGE)
    async with httpx.AsyncClient(
        base_url=url or _own_url(settings),
        headers={"Authorization": f"Bearer {token or _own_token(settings, command)}"},
        timeout=REQUEST_TIMEOUT,
        trust_env=False,  # no proxy between an operator and the server
    ) as http:
        yield AdminClient(http)


def _own_url(settings: Settings) -> str:
    from gbs_actor.cli.banner import base_url

    host, port = settings.admin.address or (settings.server.host, settings.server.port)
    return base_url(host, port, tls=settings.server.tls)


def _own_token(settings: Settings, command: str) -> str:
    if settings.admin.admin_token is not None:
        return settings.admin.admin_token.get_secret_value()
    user = "unknown"
    with suppress(KeyError, OSError):
        user = getpass.getuser()
    try:
        return make_token(
            settings,
            user_id=1,
            name=f"{command} ({user})",
            role=Role.ADMIN_MINISTER,
            expires_in=TOKEN_TIME,
        )
    except CommandFailed as error:
        raise CommandFailed(
            f"{error} Or give a token: --token or GBS_ADMIN_TOKEN.", error.exit_code
        ) from None


def _document(response: httpx.Response) -> Any:
    """Return a response's document.

    :raises CommandFailed: it is an error, or no document.
    """
    try:
        document = response.json()
    except ValueError:
        raise CommandFailed(
            f"{response.url} is no page of gbs-actor's: status {response.status_code}, no JSON."
        ) from None
    if response.is_success:
        return document
    code, message = "", ""
    if isinstance(document, dict):
        code, message = str(document.get("code", "")), str(document.get("message", ""))
    text = f"{message.rstrip('.')} ({response.status_code} {code})."
    if response.status_code == 401:
        text += " Give a token of an operator: --token or GBS_ADMIN_TOKEN."
    if response.status_code == 404 and code == "NOT_FOUND" and not message:
        text += " With GBS_ADMIN_LISTEN only that address serves /admin: give it by --url."
    raise CommandFailed(text)
