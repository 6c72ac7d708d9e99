"""Responses with what operators see."""

from __future__ import annotations

import msgspec
from quart import Response

from gbs_actor.gateway.http.responses import json_response


def fresh_response(body: object) -> Response:
    """Return a response that nobody keeps, with a structure as JSON."""
    return encoded_response(msgspec.json.encode(body))


def encoded_response(body: bytes) -> Response:
    """Return a response that nobody keeps, with JSON that is encoded already."""
    response = json_response(body)
    response.headers["Cache-Control"] = "no-store"
    return response
