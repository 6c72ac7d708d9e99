"""``/healthz`` and ``/readyz``: does the process respond, and should it receive clients."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import trio
from quart import Blueprint, Response

from gbs_actor.gateway.http.responses import failure_response, json_response
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.codes import Code
from gbs_actor.store.protocol import Store, StoreError

READY_TIMEOUT: Final = 2.0
"""Seconds that ``/readyz`` waits for the store."""

logger = logging.getLogger(__name__)


def probes(store: Store, draining: Callable[[], bool]) -> Blueprint:
    """Return the two probes; neither needs a token.

    :param draining: whether the server is about to stop.
    """
    blueprint = Blueprint("probes", __name__)

    @blueprint.get("/healthz")
    async def healthz() -> Response:
        return json_response(b'{"status":"ok"}')

    @blueprint.get("/readyz")
    async def readyz() -> Response:
        if draining():
            return not_ready(Code.ROOM_UNAVAILABLE, "The server is shutting down.")
        if not await _answers(store):
            return not_ready(Code.STORE_UNAVAILABLE, "The database does not answer.")
        return json_response(b'{"status":"ready"}')

    def not_ready(code: Code, message: str) -> Response:
        failure = Failure.because(code, message)
        return failure_response(failure)

    return blueprint


async def _answers(store: Store) -> bool:
    with trio.move_on_after(READY_TIMEOUT):
        try:
            await store.ping()
        except StoreError as error:
            logger.warning("not ready: %s", error)
            return False
        return True
    logger.warning("not ready: the store did not answer within %s s", READY_TIMEOUT)
    return False
