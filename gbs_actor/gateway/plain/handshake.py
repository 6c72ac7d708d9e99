"""The handshake of a plain WebSocket: retreat, token and subprotocols."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from gbs_actor.auth import Credentials
from gbs_actor.contract.decoding import InvalidPayload, check_slug
from gbs_actor.gateway.plain.close_frame import CloseFrame

SUBPROTOCOL: Final = "gbs.v1"
_BEARER: Final = "bearer."


@dataclass(frozen=True, slots=True)
class PlainHandshake:
    """A client's handshake."""

    slug: str
    who: Credentials | CloseFrame
    """Or the reason to close the WebSocket once it is open."""
    subprotocols: tuple[str, ...]
    """The subprotocols that may be selected, the best one first."""
    address: str | None
    """The client's IP address; ``None`` if it has none."""
    user_agent: str | None
    """What the client says that it is; ``None``: nothing."""
    opened_at: float
    """Unix time in seconds."""
    wants_presence: bool = True
    """``?presence=false`` declines it."""
    wants_batches: bool = False
    """``?updates=batch`` asks for the batch form."""


def token_of(offered: Sequence[str]) -> str | None:
    """Return the token among the subprotocols, if there is one.

    A browser's WebSocket can send no header but this one.

    :param offered: in the client's order; the first token counts.
    """
    tokens = (name.removeprefix(_BEARER) for name in offered if name.startswith(_BEARER))
    return next((token for token in tokens if token), None)


def selectable(token: str | None) -> tuple[str, ...]:
    """Return the subprotocols that a client may get, the best one first.

    A client that offers only its token gets that one, as a browser ends a connection for
    which none of its subprotocols was selected.

    :param token: as :func:`token_of` returns it.
    """
    return (SUBPROTOCOL,) if token is None else (SUBPROTOCOL, _BEARER + token)


def slug_of(path: str, prefix: str) -> str | None:
    """Return the slug in a path; ``None`` if it can be none.

    :param path: percent-encoded; it begins with ``prefix``.
    """
    try:
        return check_slug(unquote(path.removeprefix(prefix), errors="strict"))
    except (UnicodeDecodeError, InvalidPayload):
        return None
