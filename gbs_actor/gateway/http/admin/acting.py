"""What all actions of operators have in common: the request, the response, the audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Generic, TypeVar

import msgspec
from msgspec import Meta
from quart import Request, Response

from gbs_actor.contract.decoding import decode
from gbs_actor.gateway.http.admin.audit import Audit, address_of
from gbs_actor.gateway.http.admin.identity import Operator
from gbs_actor.gateway.http.admin.responses import fresh_response
from gbs_actor.rooms import RoomSummary
from gbs_actor.store.audit import Outcome

_NOT_BLANK: Final = r"^[^\x00]*[^\x00-\x20][^\x00]*$"
"""Without U+0000, which PostgreSQL's text cannot store."""
Reason = Annotated[str, Meta(min_length=1, max_length=500, pattern=_NOT_BLANK)]


class ActionBody(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Why an operator acts."""

    reason: Reason
    """For the audit."""


class ActionResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an action did, or with `dry_run` would do."""

    changed: bool
    """Whether it began something; with `dry_run`, whether it would."""
    dry_run: bool
    message: str
    """In one sentence."""


class RoomActionResult(ActionResult, frozen=True, kw_only=True):
    """What an action did to a room."""

    room: RoomSummary | None
    """The room after it; null: none of this retreat is open."""


class KickResult(ActionResult, frozen=True, kw_only=True):
    """Who was disconnected."""

    sessions: int
    """How many sessions."""
    missing: tuple[str, ...] = ()
    """Servers that have not answered; theirs may go on."""


BodyT = TypeVar("BodyT", bound=ActionBody)


@dataclass(frozen=True, slots=True)
class ActionRequest(Generic[BodyT]):
    """An operator's request to act."""

    request: Request
    operator: Operator
    body: BodyT
    dry_run: bool
    """Whether it is only to say what it would do."""

    @classmethod
    async def read(
        cls, request: Request, operator: Operator, decoder: msgspec.json.Decoder[BodyT]
    ) -> ActionRequest[BodyT]:
        """Read the body of a request.

        :raises InvalidPayload: it is no such body.
        """
        raw = await request.get_data(cache=True, as_text=False, parse_form_data=False)
        return cls(request, operator, decode(raw, decoder), "dry_run" in request.args)

    def respond(
        self,
        audit: Audit,
        result: ActionResult,
        action: str,
        target: str = "",
        *,
        outcome: Outcome | None = None,
    ) -> Response:
        """Record the action, and return its response.

        :param outcome: for the audit; ``None``: what the response says.
        """
        if outcome is None:
            changed: Outcome = "done" if result.changed else "unchanged"
            outcome = "dry_run" if self.dry_run else changed
        audit.record(
            self.operator,
            action,
            target,
            reason=self.body.reason,
            outcome=outcome,
            address=address_of(self.request),
            details=result.message,
        )
        return fresh_response(result)
