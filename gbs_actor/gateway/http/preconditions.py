"""``Idempotency-Key``, ``X-Request-ID``, ``If-Match``: repeats of a write, its base revision."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final, TypeVar
from uuid import UUID, uuid5

import msgspec
from werkzeug.datastructures import Headers, MultiDict

from gbs_actor.contract.command_spec import CommandRequest
from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.lineup.rules import LAST_ID

T = TypeVar("T")

_REQUEST_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_REVISION: Final = re.compile(r'"([0-9]{1,19})"|([0-9]{1,19})')


def guarded(request: CommandRequest, headers: Headers) -> CommandRequest:
    """Return a write with the values of its headers; the body may have the same values.

    :raises InvalidPayload: a header is malformed, or contradicts the body.
    """
    if "Idempotency-Key" not in headers and "If-Match" not in headers:
        return request
    return msgspec.structs.replace(
        request,
        command_id=_agreed("Idempotency-Key", command_id(headers), "commandId", request.command_id),
        base_revision=_agreed(
            "If-Match", base_revision(headers), "baseRevision", request.base_revision
        ),
    )


def single(name: str, fields: Headers | MultiDict[str, str]) -> str | None:
    """Return the value of a field that may be given once; ``None``: it is absent.

    :param fields: header fields, or those of a query.
    :raises InvalidPayload: it is given more than once.
    """
    values = fields.getlist(name)
    if len(values) > 1:
        raise InvalidPayload(name, f"{name} is given more than once.")
    return values[0] if values else None


def command_id(headers: Headers) -> UUID | None:
    """Return the UUID in ``Idempotency-Key``, ``None`` without one.

    It may be a quoted string, as in the draft standard (draft-ietf-httpapi-
    idempotency-key-header §2.1), or bare.

    :raises InvalidPayload: it is none, or there are several.
    """
    text = single("Idempotency-Key", headers)
    if text is None:
        return None
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    try:
        return msgspec.convert(text[1:-1] if quoted else text, UUID)
    except msgspec.ValidationError:
        raise InvalidPayload("Idempotency-Key", "Idempotency-Key must be a UUID.") from None


def with_forwarded_id(
    request: CommandRequest, headers: Headers, body: bytes, *content: str
) -> CommandRequest:
    """Return a write with an id from a trusted proxy's, if its client gives none.

    A proxy that repeats a request on another server sends the same ``X-Request-ID``. It counts in
    the form of nginx's ``$request_id`` only: one in another form may be that of several requests.

    :param body: of the request. Where a program sends one id with several writes, another one is
        no repeat.
    :param content: what else the request is known by.
    """
    values = headers.getlist("X-Request-ID")
    if request.command_id is not None or len(values) != 1 or not _REQUEST_ID.fullmatch(values[0]):
        return request
    known_by = "\n".join((*content, sha256(body).hexdigest()))
    return msgspec.structs.replace(request, command_id=uuid5(UUID(values[0]), known_by))


def base_revision(headers: Headers) -> int | None:
    """Return the revision in ``If-Match``, ``None`` without one or for ``*``.

    :raises InvalidPayload: anything but one revision, bare or quoted. Weak tags never
        match (RFC 9110 §13.1.1), and a list names no single revision that the user saw.
    """
    text = single("If-Match", headers)
    if text is None or text == "*":
        return None
    match = _REVISION.fullmatch(text)
    revision = int(match[1] or match[2]) if match else LAST_ID + 1
    if revision > LAST_ID:
        raise InvalidPayload(
            "If-Match", 'If-Match must be one revision, like 17 or "17": no weak tag, no list.'
        )
    return revision


def _agreed(header: str, given: T | None, field: str, written: T | None) -> T | None:
    if given is not None and written is not None and given != written:
        raise InvalidPayload(field, f"{header} and {field} are both given and differ.")
    return written if given is None else given
