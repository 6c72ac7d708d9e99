"""Responds to every error with JSON, without a stack trace."""

from __future__ import annotations

from math import ceil
from typing import Final

from quart import Quart, Response
from werkzeug.exceptions import HTTPException

from gbs_actor.auth import AuthError
from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.gateway.http.identity import RateLimited
from gbs_actor.gateway.http.responses import failure_response, json_response
from gbs_actor.gateway.replies import Failure, http_error
from gbs_actor.lineup.codes import Code
from gbs_actor.observability import OperatorEvents
from gbs_actor.store.protocol import StoreError

CODES: Final[dict[int, str]] = {
    400: Code.VALIDATION_FAILED,
    404: Code.NOT_FOUND,
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    413: "CONTENT_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    500: Code.INTERNAL,
}
"""The code of each error that the framework detects, by status."""
_MESSAGES: Final = {
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
    408: "The body took too long to arrive.",
    413: "The body is too large.",
    415: "The body must be JSON, and its Content-Type must say so: application/json.",
    500: "Something went wrong on the server.",
}


def register_error_handlers(app: Quart, events: OperatorEvents) -> None:
    """Register the handlers of every error.

    :param events: what operators are notified of.
    """

    @app.errorhandler(AuthError)
    async def refused(error: AuthError) -> Response:
        return failure_response(Failure(error.code, error.message))

    @app.errorhandler(RateLimited)
    async def rate_limited(error: RateLimited) -> Response:
        who = "the operator token" if error.user_id is None else f"user {error.user_id}"
        events.publish(
            "limit.hit",
            f"{who} exceeds {error.limit} by HTTP",
            severity="warning",
            user_id=error.user_id,
            limit=error.limit,
        )
        failure = Failure.because(Code.RATE_LIMITED, "Too many requests; slow down.")
        return failure_response(failure, retry_after=max(1, ceil(error.wait)))

    @app.errorhandler(InvalidPayload)
    async def invalid(error: InvalidPayload) -> Response:
        failure = Failure.because(Code.VALIDATION_FAILED, error.message)
        return failure_response(failure)

    @app.errorhandler(StoreError)
    async def store(_: StoreError) -> Response:
        failure = Failure.because(
            Code.STORE_UNAVAILABLE, "The database cannot be reached; try again shortly."
        )
        return failure_response(failure)

    @app.errorhandler(HTTPException)
    async def http(error: HTTPException) -> Response:
        # The framework's own: no such route, wrong method, an exception turned into 500.
        status = error.code or 500
        code = CODES.get(status) or error.name.upper().replace(" ", "_")
        message = _MESSAGES.get(status, f"{error.name}.")
        response = json_response(http_error(Failure(code, message)), status)
        for name, value in error.get_headers():
            if name.lower() in {"allow", "location", "retry-after"}:
                response.headers[name] = value
        response.headers["Cache-Control"] = "no-store"
        return response
