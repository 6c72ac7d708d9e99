"""What a node asks of another one: to serve a request of an operator, as if it had come there."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from gbs_actor.auth import AdminSession, User
from gbs_actor.contract.decoding import InvalidPayload, decode
from gbs_actor.store.nodes import MAX_ANSWER, MAX_REQUEST

T = TypeVar("T")


class UnreadableRequest(Exception):
    """What another node has stored is no request, or no response: it may be of another version."""


Method = Literal["GET", "POST", "DELETE"]
"""DELETE: of the operator's session, which ends on all servers."""


class ForwardedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to ``/admin`` whose sender is known; what they may do is for its node to decide."""

    method: Method
    path: Annotated[str, Meta(pattern=r"^/admin/[a-z]", max_length=2_000)]
    query: Annotated[bytes, Meta(max_length=8_000)]
    """As in the target; without ``node``."""
    body: Annotated[bytes, Meta(max_length=MAX_REQUEST)]
    """JSON; "" without one."""
    user: User | None
    """Of a token that was verified; ``None``: whoever has the operator token."""
    session: AdminSession | None = None
    """That of their browser; ``None``: they have sent a token."""
    address: Annotated[str, Meta(max_length=100)] | None
    """The IP address of the operator."""
    part: bool
    """Whether it is part of what the node that asks records in the audit."""


class ForwardedResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The response to it."""

    status: Annotated[int, Meta(ge=200, le=599)]
    body: Annotated[bytes, Meta(max_length=MAX_ANSWER)]
    """JSON."""
    retry_after: Annotated[str, Meta(max_length=20)] | None = None

    def decoded(self, decoder: msgspec.json.Decoder[T]) -> T | None:
        """Return the body; ``None``: it is an error, or not of the decoder's type."""
        if self.status != 200:
            return None
        try:
            return decode(self.body, decoder)
        except InvalidPayload:
            return None


_requests: Final = msgspec.msgpack.Decoder(ForwardedRequest)
_responses: Final = msgspec.msgpack.Decoder(ForwardedResponse)


def encoded(message: ForwardedRequest | ForwardedResponse) -> bytes:
    """Return a request or response as it is stored."""
    return msgspec.msgpack.encode(message)


def request_from(stored: bytes) -> ForwardedRequest:
    """Return a stored request.

    :raises UnreadableRequest: it is none.
    """
    try:
        return _requests.decode(stored)
    except msgspec.MsgspecError as error:
        raise UnreadableRequest(str(error)) from None


def response_from(stored: bytes) -> ForwardedResponse:
    """Return a stored response.

    :raises UnreadableRequest: it is none.
    """
    try:
        return _responses.decode(stored)
    except msgspec.MsgspecError as error:
        raise UnreadableRequest(str(error)) from None
