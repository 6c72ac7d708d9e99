"""Tokens whose signature and claims were found to be right, so that it is done once for each."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from gbs_actor.auth.keys import Key
from gbs_actor.auth.token_source import TokenSource
from gbs_actor.auth.user import User

MAX_TOKENS: Final = 10_000
"""How many tokens are kept; the one used longest ago is dropped first."""


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a genuine token says. Whether it is in force is checked at each use."""

    user: User
    not_before: float | None
    """Unix time in seconds, leeway not included; ``None``: always."""
    keys: tuple[Key, ...]
    """The keys that there were: with others it has to be verified anew."""


class VerifiedTokens:
    """Keeps verified tokens, by a hash: no token is in memory."""

    def __init__(self) -> None:
        self._tokens: OrderedDict[tuple[bytes, TokenSource], VerifiedToken] = OrderedDict()

    def __len__(self) -> int:
        """Return how many tokens are kept."""
        return len(self._tokens)

    def get(self, token: str, source: TokenSource, keys: tuple[Key, ...]) -> VerifiedToken | None:
        """Return a token that was verified with these very keys."""
        slot = _slot(token, source)
        verified = self._tokens.get(slot)
        if verified is None or verified.keys is not keys:
            return None
        self._tokens.move_to_end(slot)
        return verified

    def add(self, token: str, verified: VerifiedToken) -> None:
        """Keep a token."""
        self._tokens[_slot(token, verified.user.source)] = verified
        if len(self._tokens) > MAX_TOKENS:
            self._tokens.popitem(last=False)


def _slot(token: str, source: TokenSource) -> tuple[bytes, TokenSource]:
    return hashlib.sha256(token.encode()).digest(), source
