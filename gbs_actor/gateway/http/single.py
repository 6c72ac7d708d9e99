"""Fields of a request that may be given once."""

from __future__ import annotations

from werkzeug.datastructures import Headers, MultiDict

from gbs_actor.contract.decoding import InvalidPayload


def single(name: str, fields: Headers | MultiDict[str, str]) -> str | None:
    """Return the value of a field; ``None``: it is not there.

    :param fields: header fields, or those of a query.
    :raises InvalidPayload: it is given more than once.
    """
    values = fields.getlist(name)
    if len(values) > 1:
        raise InvalidPayload(name, f"{name} is given more than once.")
    return values[0] if values else None
