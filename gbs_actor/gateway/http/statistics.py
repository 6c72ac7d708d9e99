"""Statistics of the parts as JSON, with the names of the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec
from quart import Response

from gbs_actor.gateway.http.responses import json_response


def statistics_response(statistics: object) -> Response:
    """Return a response that nobody keeps.

    :param statistics: a dataclass, which may contain others.
    """
    response = json_response(encode_statistics(statistics))
    response.headers["Cache-Control"] = "no-store"
    return response


def encode_statistics(statistics: object) -> bytes:
    """Return statistics as JSON: a dataclass as an object, ``batch_mean`` as ``batchMean``."""
    return msgspec.json.encode(_camel(statistics))


def camel(snake: str) -> str:
    """Return a Python name as the API has it."""
    first, *rest = snake.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _camel(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {camel(each.name): _camel(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, (tuple, list)):
        return [_camel(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _camel(each) for key, each in value.items()}  # the keys are no names of ours
    return value
