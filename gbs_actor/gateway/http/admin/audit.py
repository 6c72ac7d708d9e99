"""``/admin/audit``: what operators did and looked at, and what was refused to whom."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Final

import msgspec
import trio
from quart import Blueprint, Request, Response, request

from gbs_actor.auth import AuthError, AuthErrorCode
from gbs_actor.contract.decoding import check_optional_text
from gbs_actor.environment import Environment
from gbs_actor.gateway.audit_trail import AuditTrail
from gbs_actor.gateway.http.admin.identity import ADMIN_PATH, SESSION_PATH, AdminIdentity, Operator
from gbs_actor.gateway.http.admin.query import limit_of, number, text
from gbs_actor.gateway.http.admin.responses import fresh_response
from gbs_actor.gateway.limits import TokenBucket
from gbs_actor.lineup.names import shown_name
from gbs_actor.lineup.rules import LAST_ID
from gbs_actor.observability import OperatorEvents
from gbs_actor.store.audit import AuditEntry, AuditQuery, AuditRecord, Outcome
from gbs_actor.store.protocol import Store

LOOK_INTERVAL: Final = 3_600.0
"""Seconds for which further looks of the same operator at the same are not recorded."""
MAX_LOOKS: Final = 10_000
"""Looks that are remembered, to record each of them once."""
REFUSALS_PER_SECOND: Final = 0.1
REFUSALS_AT_ONCE: Final = 20
"""How many refused requests are recorded: whoever sends more does not fill the database."""

_LOOK: Final = "look."
_MAX_TEXT: Final = 500
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
"""What PostgreSQL's text cannot hold."""


class AuditPage(msgspec.Struct, frozen=True):
    """Some records, the newest first."""

    records: tuple[AuditRecord, ...]
    next: int | None
    """For ``before``, to get those before; null: there are none."""


class Audit:
    """Records what operators do and look at, and what was refused.

    :param trail: where the records go.
    :param events: other operators are notified of actions.
    :param environment: where their times come from.
    :param node: the name of this server among several.
    """

    def __init__(
        self,
        trail: AuditTrail,
        events: OperatorEvents,
        environment: Environment,
        *,
        node: str | None = None,
    ) -> None:
        self._trail = trail
        self._node = node
        self._environment = environment
        self._events = events
        self._looks: OrderedDict[tuple[int | None, str, str], float] = OrderedDict()
        """When each operator has looked at what; the oldest first."""
        self._refusals = TokenBucket(REFUSALS_PER_SECOND, REFUSALS_AT_ONCE, trio.current_time())
        self._unrecorded = 0

    def record(
        self,
        operator: Operator | None,
        action: str,
        target: str,
        *,
        reason: str,
        outcome: Outcome,
        address: str | None,
        details: str = "",
    ) -> None:
        """Record an action. Never blocks.

        Of what is a part of another server's request only refusals: they are known here only.

        :param operator: ``None``: nobody known.
        :param address: see :func:`address_of`.
        """
        if operator is not None and operator.recorded and outcome != "refused":
            return
        if self._node is not None and details:
            details = f"{details} (server {self._node})"
        entry = AuditEntry(
            at=self._environment.now(),
            operator_id=None if operator is None else operator.user_id,
            operator_name=_name_of(operator),
            action=action,
            target=_storable(target),
            reason=_storable(reason),
            address=address,
            outcome=outcome,
            details=_storable(details),
        )
        self._trail.add(entry)
        if outcome == "done" and not action.startswith(_LOOK):
            self._events.publish(
                "operator.action",
                f"{entry.operator_name}: {action} {target}".rstrip(),
                action=action,
                target=target,
                reason=entry.reason,
                operator=entry.operator_id,
            )

    def look(self, operator: Operator, request: Request, kind: str, room: str | None) -> None:
        """Record that an operator looks at personal data: once an hour for each kind and room.

        :param kind: such as ``room`` or ``sessions``.
        :param room: its slug; ``None``: the whole server.
        """
        now, look = trio.current_time(), (operator.user_id, kind, room or "")
        looked_at = self._looks.get(look)
        if looked_at is not None and now - looked_at < LOOK_INTERVAL:
            return
        self._looks[look] = now
        self._looks.move_to_end(look)
        if len(self._looks) > MAX_LOOKS:
            self._looks.popitem(last=False)
        self.record(
            operator,
            f"{_LOOK}{kind}",
            room or "",
            reason="",
            outcome="done",
            address=address_of(request),
        )

    def refused(self, request: Request, operator: Operator | None, error: AuthError) -> None:
        """Record a request that was refused, unless there are too many of them.

        One without a token that only asks whether there is a session counts as none.

        :param operator: who has sent it; ``None``: nobody known.
        """
        asked = (request.method, request.path, error.code)
        if asked == ("GET", SESSION_PATH, AuthErrorCode.AUTH_REQUIRED):
            return  # the page asks whether there is a session
        if not self._refusals.take(trio.current_time()):
            self._unrecorded += 1
            return
        others, self._unrecorded = self._unrecorded, 0
        self.record(
            operator,
            "access",
            f"{request.method} {request.path}",
            reason="",
            outcome="refused",
            address=address_of(request),
            details=f"{error.code}; {others} more were not recorded" if others else error.code,
        )


def address_of(request: Request) -> str | None:
    """Return the IP address of the client, past trusted proxies; ``None`` if it has none."""
    return request.remote_addr


def admin_audit(store: Store, identity: AdminIdentity, audit: Audit) -> Blueprint:
    """Return the route, for operators of the whole server."""
    blueprint = Blueprint("admin_audit", __name__, url_prefix=ADMIN_PATH)

    @blueprint.get("/audit")
    async def some_records() -> Response:
        operator = identity.require_unrestricted(request)
        arguments = request.args
        limit = limit_of(arguments)
        wanted = {
            name: check_optional_text(name, text(name, arguments))
            for name in ("operator", "action", "target")
        }
        query = AuditQuery(
            limit=limit + 1, before=number("before", arguments, 1, LAST_ID), **wanted
        )
        audit.look(operator, request, "audit", None)
        records = await store.audit(query)
        shown = tuple(records[:limit])
        return fresh_response(AuditPage(shown, shown[-1].id if len(records) > limit else None))

    return blueprint


def _name_of(operator: Operator | None) -> str:
    if operator is None:
        return ""
    if operator.user is None:
        return "operator token"
    return _storable(shown_name(operator.user.name, operator.user.user_id, operator.user.email))


def _storable(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text[:_MAX_TEXT])
