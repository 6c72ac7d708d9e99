"""How commands reach a server over HTTP, and what they say where that fails."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gbs_actor.cli.failures import WRONG_USAGE, CommandFailed

if TYPE_CHECKING:
    import httpx


def check_url(url: str) -> None:
    """Refuse what is no URL of a server.

    :raises CommandFailed: it is none.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise CommandFailed(f"{url} is no URL like http://localhost:8080.", WRONG_USAGE)


@asynccontextmanager
async def http_client(url: str, token: str, timeout: float) -> AsyncIterator[httpx.AsyncClient]:  # noqa: ASYNC109  (httpx's own, of each response)
    """Open an HTTP client within the block; see :func:`check_url`.

    :param url: below which its paths are.
    :param token: sent with each request.
    :param timeout: seconds that a response may take.
    """
    import httpx

    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each request otherwise
    async with httpx.AsyncClient(
        base_url=url,
        headers={"Authorization": f"Bearer {token}"},
        timeout=timeout,
        # The system's certificates, or those of SSL_CERT_FILE, as for our other clients.
        verify=ssl.create_default_context(),
        trust_env=False,
    ) as http:
        yield http


@contextmanager
def explained(url: str, failure: Callable[[str], CommandFailed]) -> Iterator[None]:
    """Turn what goes wrong on the way to a server into a sentence.

    :param url: of the server, for the sentence.
    :param failure: makes what is raised of it.
    """
    import httpx

    try:
        yield
    except httpx.TimeoutException:
        raise failure(f"{url} does not answer in time.") from None
    except httpx.TransportError as error:
        reason = str(error) or type(error).__name__
        raise failure(f"{url} cannot be reached: {reason}. Is the server running there?") from None
