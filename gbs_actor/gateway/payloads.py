"""What clients say, decoded once and typed: one function per event.

Everything here is synchronous and raises nothing but :exc:`InvalidPayload`, whatever the
bytes are: invalid JSON, invalid UTF-8, nesting beyond the interpreter's recursion limit,
numbers of five thousand digits. HTTP writes decode with the same parts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar
from uuid import UUID, uuid4

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gbs_actor.lineup.commands import (
    Action,
    AssignNumber,
    Author,
    Command,
    CreateMemo,
    DeleteMemo,
    UpdateMemo,
)
from gbs_actor.lineup.rules import (
    LAST_ID,
    LAST_NUMBER,
    MEMO_LENGTH,
    InvalidValue,
    check_id,
    check_number,
    clean_memo,
)

T = TypeVar("T")

MAX_SLUG_LENGTH: Final = 200
"""Characters of a retreat's slug that are looked up at all."""
MAX_EPOCH_LENGTH: Final = 200
"""Characters of an epoch; the server gives shorter ones."""
MAX_FIELD_LENGTH: Final = 64
"""Characters of the field name in an editing mark."""

_PLACE = re.compile(r"^(?P<what>.*) - at `\$\.?(?P<path>.*)`$", re.DOTALL)


class InvalidPayload(Exception):
    """A payload that is not what the event takes: answered with VALIDATION_FAILED.

    ``field`` is the client's name of the field at fault, "" where it is the whole payload.
    ``message`` is one sentence for the person who wrote the client.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """``join-retreat``: which retreat, and what the client has of it already."""

    slug: str
    since: int | None = None
    epoch: str | None = None


@dataclass(frozen=True, slots=True)
class LeaveRequest:
    """``leave-retreat``."""

    slug: str


@dataclass(frozen=True, slots=True)
class EditingRequest:
    """``user-editing``: where the user starts or ends editing."""

    registration_id: int
    field: str | None
    editing: bool


@dataclass(frozen=True, slots=True)
class AuthenticateRequest:
    """``authenticate``: a new token for the connection."""

    token: str


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """A mutation, and what the client said about repeating and conflicting."""

    action: Action
    command_id: UUID | None
    base_revision: int | None

    @classmethod
    def of(cls, action: Action, payload: Guarded) -> CommandRequest:
        """Return an action with what the rest of its payload says."""
        return cls(action, payload.command_id, _revision("baseRevision", payload.base_revision))

    def command(self, author: Author) -> Command:
        """Return the command as this author's, with an id made here where none was given."""
        return Command(
            action=self.action,
            author=author,
            id=uuid4() if self.command_id is None else self.command_id,
            client_made_id=self.command_id is not None,
            base_revision=self.base_revision,
        )


# What Meta's extra_json_schema says is checked further down, with a sentence for each rule;
# here it is for the API's description alone. JSON does not tell 5.0 from 5 (RFC 8259 §6), so
# a float is taken where it is a whole number.
_Id = (
    Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": LAST_ID})]
    | Annotated[str, Meta(extra_json_schema={"pattern": "^[1-9][0-9]{0,17}$"})]
    | float
    | None
)
_Revision = Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": LAST_ID})] | float
_Number = Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": LAST_NUMBER})] | float
_Text = Annotated[
    str,
    Meta(
        description="Surrounding white space is dropped. Without a colour it must not be empty.",
        extra_json_schema={"maxLength": MEMO_LENGTH, "pattern": "^[^\\u0000]*$"},
    ),
]
_Color = Annotated[
    str,
    Meta(
        description='"#RRGGBB"; "transparent", "" and null mean none, as does leaving it out.',
        extra_json_schema={"pattern": "^(#[0-9A-Fa-f]{6}|transparent)?$"},
    ),
]


class Guarded(msgspec.Struct, rename="camel"):
    """What every mutation takes beside its own fields."""

    base_revision: _Revision | None = None
    command_id: UUID | None = None


# The fields below that a client must give are UNSET by default only so that an absent one
# gets a sentence of its own; absent is not null.


class NumberBody(Guarded, rename="camel"):
    """A person's new group number."""

    gbs_number: _Number | UnsetType | None = UNSET


class AssignBody(NumberBody, rename="camel"):
    """A person, and their new group number."""

    user_retreat_registration_id: _Id = None


class MemoBody(Guarded, rename="camel"):
    """A memo's text and colour."""

    memo: _Text | UnsetType = UNSET
    color: _Color | None = None


class _UpdateNumber(AssignBody, rename="camel"):
    lineup_id: _Id = None


class _CreateMemo(MemoBody, rename="camel"):
    lineup_id: _Id = None
    user_retreat_registration_id: _Id = None


class _UpdateMemo(MemoBody, rename="camel"):
    memo_id: _Id = None
    user_retreat_registration_memo_id: _Id = None


class _DeleteMemo(Guarded, rename="camel"):
    memo_id: _Id = None
    user_retreat_registration_memo_id: _Id = None


class _Join(msgspec.Struct, rename="camel"):
    retreat_slug: str | UnsetType = UNSET
    since: _Revision | None = None
    epoch: Annotated[str, Meta(max_length=MAX_EPOCH_LENGTH)] | None = None


class _Leave(msgspec.Struct, rename="camel"):
    retreat_slug: str | UnsetType = UNSET


class _Editing(msgspec.Struct, rename="camel"):
    lineup_id: _Id = None
    user_retreat_registration_id: _Id = None
    field: Annotated[str, Meta(max_length=MAX_FIELD_LENGTH)] | None = None
    editing: bool = True


class _Authenticate(msgspec.Struct):
    token: str | UnsetType = UNSET


def decode(raw: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode one JSON text, mapping every way in which that can fail.

    :param raw: UTF-8 as it arrived.
    :raises InvalidPayload: not JSON, not UTF-8, nested too deeply, or not of the
        decoder's type; ``field`` names the place where one is known.
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


def check_slug(slug: str) -> str:
    """Return a slug that is worth looking up.

    :raises InvalidPayload: empty, too long, or with U+0000.
    """
    if not slug or len(slug) > MAX_SLUG_LENGTH:
        raise InvalidPayload(
            "retreatSlug", f"retreatSlug must have 1 to {MAX_SLUG_LENGTH} characters."
        )
    return _text("retreatSlug", slug)


def check_path_id(field: str, text: str) -> int:
    """Return an id that stands in an address.

    :raises InvalidPayload: it is none.
    """
    return _one_id((field, text))


def number_of(payload: NumberBody) -> int | None:
    """Return the group number of a decoded payload; ``None`` for "in no group".

    :raises InvalidPayload: it is absent, which is not ``null``: a client that forgot the
        field must not empty somebody's group; or there is no such number.
    """
    try:
        return check_number(_whole(_required("gbsNumber", payload.gbs_number)))
    except InvalidValue as error:
        raise _from_rule(error) from None


def memo_of(payload: MemoBody) -> tuple[str, str]:
    """Return text and colour of a decoded payload, as they are stored.

    :raises InvalidPayload: the text is absent, or one of them breaks a rule.
    """
    try:
        return clean_memo(_required("memo", payload.memo), payload.color)
    except InvalidValue as error:
        raise _from_rule(error) from None


def decode_join(raw: bytes) -> JoinRequest:
    """Decode the argument of ``join-retreat``: a slug, or an object with one.

    :raises InvalidPayload: see :func:`decode`.
    """
    payload = decode(raw, _join)
    if isinstance(payload, str):
        return JoinRequest(check_slug(payload))
    return JoinRequest(
        check_slug(_required("retreatSlug", payload.retreat_slug)),
        _revision("since", payload.since),
        _optional_text("epoch", payload.epoch),
    )


def decode_leave(raw: bytes) -> LeaveRequest:
    """Decode the argument of ``leave-retreat``: a slug, or an object with one.

    :raises InvalidPayload: see :func:`decode`.
    """
    payload = decode(raw, _leave)
    if isinstance(payload, str):
        return LeaveRequest(check_slug(payload))
    return LeaveRequest(check_slug(_required("retreatSlug", payload.retreat_slug)))


def decode_editing(raw: bytes) -> EditingRequest:
    """Decode the argument of ``user-editing``.

    :raises InvalidPayload: see :func:`decode`.
    """
    payload = decode(raw, _editing)
    registration_id = _registration_id(payload)
    return EditingRequest(registration_id, _optional_text("field", payload.field), payload.editing)


def decode_authenticate(raw: bytes) -> AuthenticateRequest:
    """Decode the argument of ``authenticate``.

    :raises InvalidPayload: see :func:`decode`; an empty token too.
    """
    token = _required("token", decode(raw, _authenticate).token)
    if not token:
        raise InvalidPayload("token", "token must not be empty.")
    return AuthenticateRequest(token)


def decode_update_number(raw: bytes) -> CommandRequest:
    """Decode the argument of ``update-gbs-number``.

    :raises InvalidPayload: see :func:`decode` and :func:`number_of`.
    """
    payload = decode(raw, _update_number)
    return CommandRequest.of(AssignNumber(_registration_id(payload), number_of(payload)), payload)


def decode_create_memo(raw: bytes) -> CommandRequest:
    """Decode the argument of ``create-lineup-memo``.

    :raises InvalidPayload: see :func:`decode`.
    """
    payload = decode(raw, _create_memo)
    return CommandRequest.of(CreateMemo(_registration_id(payload), *memo_of(payload)), payload)


def decode_update_memo(raw: bytes) -> CommandRequest:
    """Decode the argument of ``update-lineup-memo``.

    :raises InvalidPayload: see :func:`decode`.
    """
    payload = decode(raw, _update_memo)
    return CommandRequest.of(UpdateMemo(_memo_id(payload), *memo_of(payload)), payload)


def decode_delete_memo(raw: bytes) -> CommandRequest:
    """Decode the argument of ``delete-lineup-memo``.

    :raises InvalidPayload: see :func:`decode`.
    """
    payload = decode(raw, _delete_memo)
    return CommandRequest.of(DeleteMemo(_memo_id(payload)), payload)


COMMAND_DECODERS: Final[dict[str, Callable[[bytes], CommandRequest]]] = {
    "update-gbs-number": decode_update_number,
    "create-lineup-memo": decode_create_memo,
    "update-lineup-memo": decode_update_memo,
    "delete-lineup-memo": decode_delete_memo,
}
"""How each mutation event is decoded."""


_join: Final[msgspec.json.Decoder[str | _Join]] = msgspec.json.Decoder(str | _Join)
_leave: Final[msgspec.json.Decoder[str | _Leave]] = msgspec.json.Decoder(str | _Leave)
_editing: Final = msgspec.json.Decoder(_Editing)
_authenticate: Final = msgspec.json.Decoder(_Authenticate)
_update_number: Final = msgspec.json.Decoder(_UpdateNumber)
_create_memo: Final = msgspec.json.Decoder(_CreateMemo)
_update_memo: Final = msgspec.json.Decoder(_UpdateMemo)
_delete_memo: Final = msgspec.json.Decoder(_DeleteMemo)


def _required(field: str, value: T | UnsetType) -> T:
    if value is UNSET:
        raise InvalidPayload(field, f"{field} is required.")
    return value


def _optional_text(field: str, value: str | None) -> str | None:
    return None if value is None else _text(field, value)


def _text(field: str, value: str) -> str:
    # PostgreSQL's text has no U+0000, and nobody types one.
    if "\0" in value:
        raise InvalidPayload(field, f"{field} must not contain U+0000.")
    return value


def _whole(value: T) -> T | int:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _revision(field: str, value: int | float | None) -> int | None:
    whole = _whole(value)
    if whole is None or (isinstance(whole, int) and 0 <= whole <= LAST_ID):
        return whole
    raise InvalidPayload(field, f"{field} must be a whole number between 0 and {LAST_ID}.")


def _registration_id(payload: _UpdateNumber | _CreateMemo | _Editing) -> int:
    return _one_id(
        ("lineupId", payload.lineup_id),
        ("userRetreatRegistrationId", payload.user_retreat_registration_id),
    )


def _memo_id(payload: _UpdateMemo | _DeleteMemo) -> int:
    return _one_id(
        ("memoId", payload.memo_id),
        ("userRetreatRegistrationMemoId", payload.user_retreat_registration_memo_id),
    )


def _one_id(*spellings: tuple[str, _Id]) -> int:
    """Return the id that was given under one or more of its names."""
    found: int | None = None
    for field, value in spellings:
        if value is None:
            continue
        try:
            number = check_id(field, _whole(value))
        except InvalidValue as error:
            raise _from_rule(error) from None
        if found is not None and found != number:
            names = " and ".join(name for name, _ in spellings)
            raise InvalidPayload(field, f"{names} are both given and differ.")
        found = number
    if found is None:
        names = " or ".join(name for name, _ in spellings)
        raise InvalidPayload(spellings[0][0], f"{names} is required.")
    return found


def _from_rule(error: InvalidValue) -> InvalidPayload:
    return InvalidPayload(error.field, f"{error}.")


def _from_validation(text: str) -> InvalidPayload:
    """Say what msgspec says (``Expected … - at `$.field```) in the clients' words."""
    match = _PLACE.match(text)
    if match is None:
        return InvalidPayload("", f"The payload is not what is taken here: {text}.")
    field, what = match["path"], match["what"]
    name = field or "The payload"
    return InvalidPayload(field, f"{name}: {what[:1].lower()}{what[1:]}.")
