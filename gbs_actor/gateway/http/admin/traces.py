"""``/admin/traces``: the events of a user or a session, for some minutes."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta
from quart import Blueprint, Response, request

from gbs_actor.contract.decoding import Id, InvalidPayload, one_id
from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.http.admin.acting import ActionBody, ActionRequest, ActionResult
from gbs_actor.gateway.http.admin.audit import Audit
from gbs_actor.gateway.http.admin.identity import ADMIN_PATH, AdminIdentity
from gbs_actor.gateway.http.admin.responses import fresh_response
from gbs_actor.gateway.http.responses import failure_response
from gbs_actor.gateway.replies import Failure
from gbs_actor.gateway.traces import MAX_MINUTES, MAX_TRACES, Target, TooManyTraces, Trace
from gbs_actor.lineup.codes import Code

_MAX_SID: Final = 64

_NO_SESSION: Final = Failure.because(Code.NOT_FOUND, "There is no such session.")
_TOO_MANY: Final = Failure.because(
    Code.RATE_LIMITED, f"{MAX_TRACES} traces are running; stop one, or wait."
)


class StopTraceBody(ActionBody, frozen=True, rename="camel"):
    """Which trace: that of a user, or that of a session."""

    user_id: Id = None
    sid: Annotated[str, Meta(min_length=1, max_length=_MAX_SID)] | None = None

    def target(self) -> Target:
        """Return the id of the user, or the sid.

        :raises InvalidPayload: both or none are given, or there is no such id.
        """
        if (self.user_id is None) == (self.sid is None):
            raise InvalidPayload("userId", "Either userId or sid is required.")
        return self.sid if self.sid is not None else one_id(("userId", self.user_id))


class TraceBody(StopTraceBody, frozen=True, rename="camel"):
    """Whom to trace, for how long."""

    minutes: Annotated[float, Meta(ge=1, le=MAX_MINUTES)] = 5
    with_memos: bool = False
    """Whether to show what is typed, names and e-mail addresses."""


class TraceList(msgspec.Struct, frozen=True, rename="camel"):
    """The traces that are running."""

    traces: tuple[Trace, ...]


class TracesChanged(ActionResult, frozen=True, kw_only=True, rename="camel"):
    """What an action has done, or would do."""

    traces: tuple[Trace, ...]


_start: Final = msgspec.json.Decoder(TraceBody)
_stop: Final = msgspec.json.Decoder(StopTraceBody)


def admin_traces(clients: Clients, identity: AdminIdentity, audit: Audit) -> Blueprint:
    """Return the routes about traces, for operators of the whole server."""
    blueprint = Blueprint("admin_traces", __name__, url_prefix=f"{ADMIN_PATH}/traces")
    traces = clients.traces

    @blueprint.get("")
    async def show() -> Response:
        operator = identity.require_unrestricted(request)
        audit.look(operator, request, "traces", None)
        return fresh_response(TraceList(traces.statistics()))

    @blueprint.post("")
    async def start() -> Response:
        operator = identity.require_unrestricted(request)
        asked = await ActionRequest.read(request, operator, _start)
        body, target = asked.body, asked.body.target()
        if isinstance(target, str) and clients.find(target) is None:
            return failure_response(_NO_SESSION)
        try:
            traces.check(target)
        except TooManyTraces:
            return failure_response(_TOO_MANY)
        if not asked.dry_run:
            traces.start(target, body.minutes, with_memos=body.with_memos)
        shown = ", with what is typed" if body.with_memos else ""
        message = f"Traced for {body.minutes:g} minutes{shown}."
        return respond(asked, "trace.start", message, changed=True)

    @blueprint.post("/stop")
    async def stop() -> Response:
        operator = identity.require_unrestricted(request)
        asked = await ActionRequest.read(request, operator, _stop)
        target = asked.body.target()
        running = traces.has(target)
        if running and not asked.dry_run:
            traces.stop(target)
        message = "Not traced any more." if running else "There was no such trace."
        return respond(asked, "trace.stop", message, changed=running)

    def respond(
        asked: ActionRequest[TraceBody] | ActionRequest[StopTraceBody],
        action: str,
        message: str,
        *,
        changed: bool,
    ) -> Response:
        result = TracesChanged(
            changed=changed,
            dry_run=asked.dry_run,
            message=message,
            traces=traces.statistics(),
        )
        return asked.respond(audit, result, action, str(asked.body.target()))

    return blueprint
