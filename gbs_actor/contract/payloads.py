"""Arguments of events and HTTP bodies, decoded to typed requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gbs_actor.contract.decoding import (
    Id,
    InvalidPayload,
    Revision,
    check_optional_text,
    check_revision,
    check_slug,
    decode,
    from_rule,
    one_id,
    required,
    whole,
)
from gbs_actor.lineup.rules import (
    LAST_NUMBER,
    MEMO_LENGTH,
    InvalidValue,
    check_number,
    clean_memo,
)

MAX_EPOCH_LENGTH: Final = 200
"""Characters of an epoch; the server gives shorter ones."""
MAX_FIELD_LENGTH: Final = 64
"""Characters of the field name in an editing mark."""

Epoch = Annotated[str, Meta(max_length=MAX_EPOCH_LENGTH)]
_Number = Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": LAST_NUMBER})] | float
_Text = Annotated[
    str,
    Meta(
        description="White space around it is dropped, as by trim() in a browser. Without a colour "
        "it must have something visible.",
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


# Bodies of commands. The fields that a client must give are UNSET by default only so that an
# absent one gets a sentence of its own; absent is not null.


class GuardBody(msgspec.Struct, rename="camel", omit_defaults=True):
    """Fields of every mutation."""

    base_revision: Revision | None = None
    command_id: UUID | None = None

    @property
    def own_id(self) -> UUID | None:
        """The id of the command itself, if the client has given one."""
        return self.command_id


class NumberBody(GuardBody, rename="camel"):
    """A person's new group number."""

    gbs_number: _Number | UnsetType | None = UNSET

    def number(self) -> int | None:
        """Return the group number; ``None`` for "in no group".

        :raises InvalidPayload: it is absent, which is not ``null`` (a client that omits
            the field by mistake must not clear the number); or there is no such number.
        """
        try:
            return check_number(whole(required("gbsNumber", self.gbs_number)))
        except InvalidValue as error:
            raise from_rule(error) from None


class AssignBody(NumberBody, rename="camel"):
    """A person, and their new group number."""

    user_retreat_registration_id: Id = None


class MemoBody(GuardBody, rename="camel"):
    """A memo's text and colour."""

    memo: _Text | UnsetType = UNSET
    color: _Color | None = None

    def cleaned(self) -> tuple[str, str]:
        """Return text and colour as they are stored.

        :raises InvalidPayload: the text is absent, or one of them breaks a rule.
        """
        try:
            return clean_memo(required("memo", self.memo), self.color)
        except InvalidValue as error:
            raise from_rule(error) from None


# Events that are no commands.


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """``join-retreat``: the retreat, and the revision that the client has."""

    slug: str
    since: int | None = None
    epoch: str | None = None


class LeaveRequest(msgspec.Struct, frozen=True, gc=False):
    """``leave-retreat``."""

    slug: str


@dataclass(frozen=True, slots=True)
class EditingRequest:
    """``user-editing``: the field that the user starts or ends editing."""

    registration_id: int
    field: str | None
    editing: bool


@dataclass(frozen=True, slots=True)
class AuthenticateRequest:
    """``authenticate``: a new token for the connection."""

    token: str


class GbsListRequest(msgspec.Struct, frozen=True, gc=False):
    """``gbslist``: the retreat; ``None``: that of the room."""

    retreat_slug: str | None = None


class _Join(msgspec.Struct, rename="camel"):
    retreat_slug: str | UnsetType = UNSET
    since: Revision | None = None
    epoch: Epoch | None = None


class _Leave(msgspec.Struct, rename="camel"):
    retreat_slug: str | UnsetType = UNSET


class _Editing(msgspec.Struct, rename="camel"):
    lineup_id: Id = None
    user_retreat_registration_id: Id = None
    field: Annotated[str, Meta(max_length=MAX_FIELD_LENGTH)] | None = None
    editing: bool = True


class _Authenticate(msgspec.Struct):
    token: str | UnsetType = UNSET


_join: Final[msgspec.json.Decoder[str | _Join]] = msgspec.json.Decoder(str | _Join)
_leave: Final[msgspec.json.Decoder[str | _Leave]] = msgspec.json.Decoder(str | _Leave)


class _GbsList(msgspec.Struct, rename="camel"):
    retreat_slug: str | None = None


_gbs_list: Final = msgspec.json.Decoder(_GbsList | None)
_editing: Final = msgspec.json.Decoder(_Editing)
_authenticate: Final = msgspec.json.Decoder(_Authenticate)


def decode_join(raw: bytes) -> JoinRequest:
    """Decode the argument of ``join-retreat``: a slug, or an object with one.

    :raises InvalidPayload: see :func:`~gbs_actor.contract.decoding.decode`.
    """
    payload = decode(raw, _join)
    if isinstance(payload, str):
        return JoinRequest(check_slug(payload))
    return JoinRequest(
        check_slug(required("retreatSlug", payload.retreat_slug)),
        check_revision("since", payload.since),
        check_optional_text("epoch", payload.epoch),
    )


def decode_leave(raw: bytes) -> LeaveRequest:
    """Decode the argument of ``leave-retreat``: a slug, or an object with one.

    :raises InvalidPayload: see :func:`~gbs_actor.contract.decoding.decode`.
    """
    payload = decode(raw, _leave)
    if isinstance(payload, str):
        return LeaveRequest(check_slug(payload))
    return LeaveRequest(check_slug(required("retreatSlug", payload.retreat_slug)))


def decode_gbs_list(raw: bytes) -> GbsListRequest:
    """Decode the argument of ``gbslist``: an object, or ``null``.

    :raises InvalidPayload: see :func:`~gbs_actor.contract.decoding.decode`.
    """
    payload = decode(raw, _gbs_list)
    slug = None if payload is None else payload.retreat_slug
    return GbsListRequest(None if slug is None else check_slug(slug))


def decode_editing(raw: bytes) -> EditingRequest:
    """Decode the argument of ``user-editing``.

    :raises InvalidPayload: see :func:`~gbs_actor.contract.decoding.decode`.
    """
    payload = decode(raw, _editing)
    registration_id = one_id(
        ("lineupId", payload.lineup_id),
        ("userRetreatRegistrationId", payload.user_retreat_registration_id),
    )
    field = check_optional_text("field", payload.field)
    return EditingRequest(registration_id, field, payload.editing)


def decode_authenticate(raw: bytes) -> AuthenticateRequest:
    """Decode the argument of ``authenticate``.

    :raises InvalidPayload: see :func:`~gbs_actor.contract.decoding.decode`; an empty token too.
    """
    token = required("token", decode(raw, _authenticate).token)
    if not token:
        raise InvalidPayload("token", "token must not be empty.")
    return AuthenticateRequest(token)
