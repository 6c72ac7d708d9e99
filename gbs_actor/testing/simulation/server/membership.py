"""Which room a client is in when the server handles one of its events, as the client can know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Move:
    """A join or a leave that was sent over a connection."""

    slug: str
    joins: bool
    succeeded: bool | None = None
    """``None``: it has not been answered."""


class Membership:
    """The moves over one connection, in their order.

    :param slug: the room that it begins in.
    """

    def __init__(self, slug: str | None = None) -> None:
        self._slug = slug
        self._moves: list[Move] = []

    def add(self, slug: str, *, joins: bool) -> Move:
        """Note that a join, or a leave, is sent."""
        move = Move(slug, joins)
        self._moves.append(move)
        return move

    def succeeded(self) -> None:
        """Note that the first move, that of who joins by connecting, has succeeded."""
        self._moves[0].succeeded = True

    @property
    def count(self) -> int:
        """How many moves were sent."""
        return len(self._moves)

    def room_after(self, count: int, *, hoping: bool) -> str | None:
        """Return the room that the client is in after its first moves.

        :param hoping: whether those without an answer succeed.
        """
        slug = self._slug
        for move in self._moves[:count]:
            if move.succeeded or (move.succeeded is None and hoping):
                if move.joins:
                    slug = move.slug
                elif move.slug == slug:
                    slug = None
        return slug

    @property
    def room(self) -> str | None:
        """The room that it is in, as far as it was answered."""
        return self.room_after(self.count, hoping=False)

    @property
    def moving(self) -> bool:
        """Whether a move has not been answered."""
        return any(move.succeeded is None for move in self._moves)
