"""What ``/readyz`` says, as those see it who send clients to a server."""

from __future__ import annotations

import json
import urllib.error

import trio

from tests.e2e.server_process import ServerProcess

PATIENCE = 60.0
PAUSE = 0.05


async def until_ready(server: ServerProcess) -> None:
    """Return once new clients may come."""
    with trio.fail_after(PATIENCE):
        while await _reason(server) is not None:  # noqa: ASYNC110  (it tells nobody)
            await trio.sleep(PAUSE)


async def until_unready(server: ServerProcess) -> str:
    """Return the reason once none should come."""
    with trio.fail_after(PATIENCE):
        while (reason := await _reason(server)) is None:  # noqa: ASYNC110
            await trio.sleep(PAUSE)
    return reason


async def _reason(server: ServerProcess) -> str | None:
    return await trio.to_thread.run_sync(_ask, server)


def _ask(server: ServerProcess) -> str | None:
    try:
        server.get("/readyz")
    except urllib.error.HTTPError as error:
        with error:
            return str(json.load(error)["message"]) if error.code == 503 else f"HTTP {error.code}"
    return None
