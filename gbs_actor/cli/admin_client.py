"""A client of ``/admin`` for the commands of operators.

What goes wrong is a :class:`AdminRequestFailed`: one sentence, with what to do.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gbs_actor.cli.failures import CommandFailed
from gbs_actor.cli.http_client import check_url, explained, http_client
from gbs_actor.roles import Role

if TYPE_CHECKING:
    import httpx

    from gbs_actor.settings import Settings

TOKEN_TIME: Final = 12 * 3_600
"""Seconds that a token made for a command is valid."""
TIMEOUT: Final = 20.0
"""Seconds that a response may take."""
SILENCE: Final = 40.0
"""Seconds without a byte of a stream after which it counts as lost: the server breaks silence."""

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="GBS_URL",
        help="URL at which /admin is served. Default: that of the server with these settings.",
        show_default=False,
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="GBS_ADMIN_TOKEN",
        help="The operator token, or the token of an operator. Default: admin_token of the "
        "settings, or one signed with the server's secret, if known.",
        show_default=False,
    ),
]

NodeOption = Annotated[
    str | None,
    typer.Option(help="Ask this one of several servers on the database, through the other."),
]

Parameters = Mapping[str, str | int | None]
"""Those that are ``None`` are not sent."""

_ADVICE: Final = {
    401: "Set GBS_ADMIN_TOKEN to the server's admin_token, or to the token of an operator.",
    403: "It takes the role ADMIN_MINISTER, and a token that is not restricted to retreats.",
    404: "Is this the address of /admin? With admin_listen it has one of its own.",
}
_NOT_THERE: Final = "There is nothing at this address."
"""What the server says where it has no such operation."""


class AdminRequestFailed(CommandFailed):
    """A request to ``/admin`` failed.

    :param status: of the HTTP response; ``None``: there was none.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status is None or self.status >= 500


@dataclass(frozen=True, slots=True)
class StreamedEvent:
    """One server-sent event."""

    id: str
    """For ``last_event_id``; "" if it has none."""
    type: str
    """``message`` unless the server has set another one."""
    data: Any
    """Decoded JSON."""


class AdminClient:
    """Sends requests to one server; see :func:`admin_client`.

    Paths are those below ``/admin``, such as ``/rooms``.
    """

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url

    @property
    def url(self) -> str:
        """Where ``/admin`` is served."""
        return self._url

    async def get(self, path: str, params: Parameters | None = None) -> Any:
        """Return the decoded JSON of a response.

        :raises AdminRequestFailed: there was none, or an error.
        """
        return await self._request("GET", path, params)

    async def post(self, path: str, body: Any = None, params: Parameters | None = None) -> Any:
        """Send JSON, and return the decoded JSON of the response.

        :raises AdminRequestFailed: there was none, or an error. It may have taken effect if
            ``status`` is ``None``.
        """
        return await self._request("POST", path, params, json=body)

    @asynccontextmanager
    async def stream(
        self, path: str, params: Parameters | None = None, *, last_event_id: str = ""
    ) -> AsyncIterator[AsyncIterator[StreamedEvent]]:
        """Follow a stream of server-sent events within the block.

        :param last_event_id: the id of the last event that was received; "": none was.
        :raises AdminRequestFailed: the stream does not begin, or breaks in the block.
        """
        headers = {"Accept": "text/event-stream"}
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        with explained(self._url, AdminRequestFailed):
            async with self._http.stream(
                "GET", f"/admin{path}", params=_given(params), headers=headers, timeout=SILENCE
            ) as response:
                if response.status_code != 200:
                    await response.aread()
                    self._check(response)
                yield _events(response.aiter_lines())

    async def _request(
        self, method: str, path: str, params: Parameters | None, **options: Any
    ) -> Any:
        with explained(self._url, AdminRequestFailed):
            response = await self._http.request(
                method, f"/admin{path}", params=_given(params), **options
            )
        self._check(response)
        return response.json()

    def _check(self, response: httpx.Response) -> None:
        """Raise if a response is an error, or is not of our server.

        :raises AdminRequestFailed: it is.
        """
        status = response.status_code
        try:
            body = response.json()
            message = body["message"] if status >= 400 else ""
        except (ValueError, TypeError, KeyError):
            raise AdminRequestFailed(
                f"{self._url} does not answer as a gbs-actor server: HTTP {status}.", status
            ) from None
        if message:
            advice = _ADVICE.get(status, "") if status != 404 or message == _NOT_THERE else ""
            raise AdminRequestFailed(f"{message.rstrip('.')}. {advice}".rstrip(), status)


@asynccontextmanager
async def admin_client(
    settings: Settings, url: str | None, token: str | None
) -> AsyncIterator[AdminClient]:
    """Open a client within the block.

    :param url: where ``/admin`` is served; ``None``: at the address in the settings.
    :param token: ``None``: that of the settings, or one signed with their secret.
    :raises CommandFailed: the URL is none, or no token is known.
    """
    url = url or _own_url(settings)
    check_url(url)
    async with http_client(url, token or _own_token(settings), TIMEOUT) as http:
        yield AdminClient(http, url.rstrip("/"))


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[StreamedEvent]:
    """Yield the events of a stream (HTML Living Standard §9.2.6), as far as ours use it."""
    fields: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        if "data" in fields:
            kind = fields.get("event", "message")
            yield StreamedEvent(fields.get("id", ""), kind, json.loads(fields["data"]))
        fields = {}


def _given(params: Parameters | None) -> dict[str, str | int]:
    return {name: value for name, value in (params or {}).items() if value is not None}


def _own_url(settings: Settings) -> str:
    from gbs_actor.cli.banner import base_url

    server = settings.server
    host, port = settings.admin.address or (server.host, server.port)
    return base_url(host, port, tls=server.tls)


def _own_token(settings: Settings) -> str:
    from gbs_actor.cli.tokens import token_of_command

    if settings.admin.admin_token is not None:
        return settings.admin.admin_token.get_secret_value()
    return token_of_command(
        settings,
        name="gbs-actor",
        role=Role.ADMIN_MINISTER,
        expires_in=TOKEN_TIME,
        variable="GBS_ADMIN_TOKEN",
    )
