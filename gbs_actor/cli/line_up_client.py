"""A client of a retreat's line-up over HTTP, for commands.

What goes wrong is a :class:`LineUpRequestFailed`: one sentence.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from gbs_actor.cli.failures import CommandFailed
from gbs_actor.cli.http_client import check_url, explained, http_client
from gbs_actor.cli.progress import progress_bar
from gbs_actor.roles import Role

if TYPE_CHECKING:
    import httpx

    from gbs_actor.settings import Settings

TIMEOUT: Final = 60.0
"""Seconds that a response may take: a large sheet is read and compared."""
_TOKEN_TIME: Final = 3_600
_CHUNK: Final = 65_536

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="GBS_URL",
        help="URL of the server. Default: the one that these settings start.",
        show_default=False,
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="GBS_TOKEN",
        help="Token to send. Default: one signed with the server's secret, if known.",
        show_default=False,
    ),
]


class LineUpRequestFailed(CommandFailed):
    """A request failed.

    :param body: of the error, if the server has sent one.
    """

    def __init__(self, message: str, body: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.body = body or {}

    @property
    def code(self) -> str:
        """The server's; "" without one."""
        return str(self.body.get("code", ""))


class LineUpClient:
    """Sends requests about one retreat; see :func:`line_up_client`. Paths are below its line-up."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url

    async def get(self, path: str, params: Mapping[str, Any]) -> Any:
        """Return the JSON of a response.

        :param params: of the query; those that are ``None`` are not sent.
        :raises LineUpRequestFailed: there is none, or an error.
        """
        given = {name: value for name, value in params.items() if value is not None}
        return await self._json("GET", path, params=given)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send JSON, and return that of the response.

        :raises LineUpRequestFailed: there is none, or an error.
        """
        return await self._json("POST", path, json=body)

    async def download(self, path: str) -> bytes:
        """Return a file, and show the progress.

        :raises LineUpRequestFailed: there is no response, or an error.
        """
        data = bytearray()
        with explained(self._url, LineUpRequestFailed), progress_bar("Downloading") as progress:
            async with self._http.stream("GET", path) as response:
                total = response.headers.get("Content-Length")
                async for chunk in response.aiter_bytes():
                    data += chunk
                    progress(len(data), None if total is None else int(total))
        self._check(response, bytes(data))
        return bytes(data)

    async def upload(self, path: str, data: bytes, params: Mapping[str, Any]) -> Any:
        """Send a file, show the progress, and return the JSON of the response.

        :raises LineUpRequestFailed: there is none, or an error.
        """
        with progress_bar("Uploading") as progress:

            async def chunks() -> AsyncIterator[bytes]:
                for start in range(0, len(data), _CHUNK):
                    yield data[start : start + _CHUNK]
                    progress(min(start + _CHUNK, len(data)), len(data))

            headers = {
                "Content-Type": "application/octet-stream",
                "Content-Length": str(len(data)),
            }
            return await self._json("POST", path, content=chunks(), headers=headers, params=params)

    async def _json(self, method: str, path: str, **options: Any) -> Any:
        with explained(self._url, LineUpRequestFailed):
            response = await self._http.request(method, path, **options)
        return self._check(response, response.content, json=True)

    def _check(self, response: httpx.Response, content: bytes, *, json: bool = False) -> Any:
        """Return the JSON of a response.

        :raises LineUpRequestFailed: it is an error, or not of our server.
        """
        import msgspec

        failed = response.status_code >= 400
        try:
            body: Any = msgspec.json.decode(content) if failed or json else None
            message = body["message"] if failed else ""
        except (msgspec.DecodeError, TypeError, KeyError):
            raise LineUpRequestFailed(
                f"{self._url} does not answer as a gbs-actor server: HTTP {response.status_code}."
            ) from None
        if failed:
            raise LineUpRequestFailed(_sentence(str(message)), body)
        return body


def _sentence(message: str) -> str:
    from gbs_actor.observability import visible

    return visible(message.rstrip(".")) + "."


@asynccontextmanager
async def line_up_client(
    settings: Settings, slug: str, url: str | None, token: str | None, role: Role
) -> AsyncIterator[LineUpClient]:
    """Open a client within the block.

    :param url: of the server; ``None``: at the address in the settings.
    :param token: ``None``: one signed with the secret of the settings.
    :param role: of that token.
    :raises CommandFailed: the URL is none, or no token is known.
    """
    from gbs_actor.cli.banner import base_url
    from gbs_actor.cli.tokens import token_of_command

    server = settings.server
    url = (url or base_url(server.host, server.port, tls=server.tls)).rstrip("/")
    check_url(url)
    token = token or token_of_command(
        settings, name="gbs-actor", role=role, expires_in=_TOKEN_TIME, variable="GBS_TOKEN"
    )
    below = f"{url}/api/v1/retreat/{quote(slug, safe='')}/line-up"
    async with http_client(below, token, TIMEOUT) as http:
        yield LineUpClient(http, url)
