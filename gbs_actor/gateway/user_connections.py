"""How many connections one user may have open, over every endpoint that keeps them open."""

from __future__ import annotations


class UserConnections:
    """Counts each user's connections; holds nothing of who has none.

    :param limit: connections of one user at the same time, at least 1.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("a user must be allowed at least one connection")
        self._limit = limit
        self._open: dict[int, int] = {}

    def enter(self, user_id: int) -> bool:
        """Count a connection in; ``False``: the user has as many as may be, do not let it in.

        Whoever was let in has to :meth:`leave`, once.
        """
        count = self._open.get(user_id, 0)
        if count >= self._limit:
            return False
        self._open[user_id] = count + 1
        return True

    def leave(self, user_id: int) -> None:
        """Count a connection out that was let in."""
        count = self._open[user_id] - 1
        if count:
            self._open[user_id] = count
        else:
            del self._open[user_id]

    def of(self, user_id: int) -> int:
        """Return how many connections of a user are open."""
        return self._open.get(user_id, 0)

    def __len__(self) -> int:
        """Return how many users have a connection open."""
        return len(self._open)
