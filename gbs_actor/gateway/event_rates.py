"""How many events clients may send: counts them, and refuses what exceeds a rate."""

from __future__ import annotations

from typing import Final, Literal

import trio

from gbs_actor.contract.events import ClientEvent
from gbs_actor.gateway.client import Client
from gbs_actor.gateway.invocation import Invocation
from gbs_actor.gateway.limits import UserRateLimit
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.codes import Code
from gbs_actor.observability import OperatorEvents
from gbs_actor.settings import LimitSettings

_JOIN_RETREAT: Final[str] = ClientEvent.JOIN_RETREAT.value
_RATE_LIMITED: Final = Failure.because(Code.RATE_LIMITED, "Too many events; slow down.")
_TOO_MANY_JOINS: Final = Failure.because(Code.RATE_LIMITED, "Too many joins; slow down.")


class EventRates:
    """The rates of connections and of users; those of a user hold over all their connections.

    :param users: how often users may send events, shared with their other transports.
    :param events: what operators are notified of.
    """

    def __init__(self, limits: LimitSettings, users: UserRateLimit, events: OperatorEvents) -> None:
        self._users = users
        self._joins = UserRateLimit(limits.user_join_rate, limits.user_join_burst)
        self.marks = UserRateLimit(limits.user_editing_rate, limits.user_editing_burst)
        """Of editing marks."""
        self._operator_events = events
        self.events = self.refused = 0
        """Since the start."""

    def change(self, limits: LimitSettings) -> None:
        """Change the rates of users; see :meth:`.UserRateLimit.change`."""
        self._users.change(limits.user_rate, limits.user_burst)
        self.marks.change(limits.user_editing_rate, limits.user_editing_burst)
        self._joins.change(limits.user_join_rate, limits.user_join_burst)

    def admit(self, client: Client, invocation: Invocation) -> bool:
        """Count an event; if it exceeds a rate, refuse it and return ``False``.

        Joins have a rate of their own: each is answered with a list, and the one behind many
        edits that were typed offline must not be refused for them.
        """
        self.events += 1
        client.events += 1
        if invocation.name == _JOIN_RETREAT:
            return self.admit_join(client, invocation)
        now = trio.current_time()
        if not client.bucket.take(now):
            limit = "event_rate"
        elif not self._users.take(client.author.user_id, now):
            limit = "user_rate"
        else:
            return True
        return self.refuse(client, invocation, _RATE_LIMITED, limit)

    def charge(self, client: Client, extra_events: int) -> None:
        """Count an event that was admitted as so many more."""
        client.bucket.charge(extra_events)
        self._users.charge(client.author.user_id, extra_events)

    def admit_join(self, client: Client, invocation: Invocation) -> bool:
        """Refuse a join that exceeds a rate, and return ``False``."""
        now = trio.current_time()
        if not client.join_bucket.take(now):
            limit = "join_rate"
        elif not self._joins.take(client.author.user_id, now):
            limit = "user_join_rate"
        else:
            return True
        return self.refuse(client, invocation, _TOO_MANY_JOINS, limit)

    def refuse(
        self, client: Client, invocation: Invocation, refusal: Failure, limit: str
    ) -> Literal[False]:
        """Refuse an event that exceeds a rate or a bound.

        :param limit: its setting.
        """
        self.refused += 1
        self._operator_events.publish(
            "limit.hit",
            f"user {client.author.user_id} exceeds {limit}",
            severity="warning",
            **client.log_fields(),
            limit=limit,
        )
        invocation.reply(refusal)
        return False
