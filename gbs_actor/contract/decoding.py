"""Decodes and checks JSON of clients; every fault is one exception.

All functions are synchronous and raise only :exc:`InvalidPayload`, for any bytes: invalid JSON,
invalid UTF-8, nesting beyond the interpreter's recursion limit, numbers of 5,000 digits.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gbs_actor.lineup.rules import LAST_ID, InvalidValue, check_id

T = TypeVar("T")

MAX_SLUG_LENGTH: Final = 200
"""The longest slug of a retreat that is looked up, in characters."""

# The rules in Meta's extra_json_schema are checked further down, with a sentence for each;
# here they are only for the API's description. JSON does not distinguish 5.0 from 5 (RFC 8259
# §6), so a float is accepted if it is a whole number.
GivenId = (
    Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": LAST_ID})]
    | Annotated[str, Meta(extra_json_schema={"pattern": "^[1-9][0-9]{0,17}$"})]
    | float
)
Id = GivenId | None
Revision = Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": LAST_ID})] | float

_LOCATION: Final = re.compile(r"^(?P<what>.*) - at `\$\.?(?P<path>.*)`$", re.DOTALL)


class InvalidPayload(Exception):
    """A payload that the event does not accept: the reply is VALIDATION_FAILED.

    ``field`` is the wire name of the invalid field, "" for the whole payload. ``message`` is one
    sentence for the client's developer.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


def decode(raw: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode one JSON text.

    :param raw: UTF-8 as it arrived.
    :raises InvalidPayload: not JSON, not UTF-8, nested too deeply, or not of the
        decoder's type; ``field`` names the field if known.
    """
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise _from_validation(str(error)) from None
    except msgspec.DecodeError:
        raise InvalidPayload("", "The payload is not valid JSON.") from None
    except UnicodeDecodeError:
        raise InvalidPayload("", "The payload is not valid UTF-8.") from None
    except RecursionError:
        raise InvalidPayload("", "The payload is nested too deeply.") from None


def required(field: str, value: T | UnsetType) -> T:
    """Return a field's value.

    :raises InvalidPayload: the field is absent, which is not ``null``.
    """
    if value is UNSET:
        raise InvalidPayload(field, f"{field} is required.")
    return value


def check_text(field: str, value: str) -> str:
    """Return a text that the database can hold.

    :raises InvalidPayload: it has U+0000, which PostgreSQL's text cannot store.
    """
    if "\0" in value:
        raise InvalidPayload(field, f"{field} must not contain U+0000.")
    return value


def check_optional_text(field: str, value: str | None) -> str | None:
    """Return a text as :func:`check_text` does, or ``None``."""
    return None if value is None else check_text(field, value)


def check_slug(slug: str) -> str:
    """Return a slug that a retreat can have.

    :raises InvalidPayload: empty, too long, with U+0000, or ``.`` or ``..``: in a path those are
        no names (RFC 3986 §3.3), and ``/admin/rooms/../drain`` would stop the server.
    """
    if slug in (".", ".."):
        raise InvalidPayload("retreatSlug", "retreatSlug must not be . or ..")
    if not slug or len(slug) > MAX_SLUG_LENGTH:
        raise InvalidPayload(
            "retreatSlug", f"retreatSlug must have 1 to {MAX_SLUG_LENGTH} characters."
        )
    return check_text("retreatSlug", slug)


def whole(value: T) -> T | int:
    """Return a float without a fraction as an integer, everything else unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def check_revision(field: str, value: int | float | None) -> int | None:
    """Return a revision, or ``None``.

    :raises InvalidPayload: it is no whole number, or out of range.
    """
    number = whole(value)
    if number is None or (isinstance(number, int) and 0 <= number <= LAST_ID):
        return number
    raise InvalidPayload(field, f"{field} must be a whole number between 0 and {LAST_ID}.")


def one_id(*spellings: tuple[str, Id]) -> int:
    """Return the id that is given under one or more of its names.

    :param spellings: each name, and its value.
    :raises InvalidPayload: there is none, it is no id, or two of them differ.
    """
    found: int | None = None
    for field, value in spellings:
        if value is None:
            continue
        try:
            number = check_id(field, whole(value))
        except InvalidValue as error:
            raise from_rule(error) from None
        if found is not None and found != number:
            names = " and ".join(name for name, _ in spellings)
            raise InvalidPayload(field, f"{names} are both given and differ.")
        found = number
    if found is None:
        names = " or ".join(name for name, _ in spellings)
        raise InvalidPayload(spellings[0][0], f"{names} is required.")
    return found


def from_rule(error: InvalidValue) -> InvalidPayload:
    """Return the exception for a broken rule of the domain."""
    return InvalidPayload(error.field, f"{error}.")


def _from_validation(text: str) -> InvalidPayload:
    """Translate an error of msgspec (``Expected … - at `$.field```) for clients."""
    match = _LOCATION.match(text)
    if match is None:
        return InvalidPayload("", f"The payload is not what is taken here: {text}.")
    field, what = match["path"], match["what"]
    name = field or "The payload"
    return InvalidPayload(field, f"{name}: {what[:1].lower()}{what[1:]}.")
