"""``/admin/traces``: the events of a user or a session, for some minutes."""

from __future__ import annotations

import logging
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType
from quart import Blueprint, Response, request

from gbs_actor.contract.decoding import Id, InvalidPayload, decode, one_id, required
from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.http.admin.identity import ADMIN_PATH, AdminIdentity, Operator
from gbs_actor.gateway.http.admin.responses import fresh_response
from gbs_actor.gateway.http.responses import failure_response
from gbs_actor.gateway.replies import Failure
from gbs_actor.gateway.traces import MAX_MINUTES, MAX_TRACES, Target, TooManyTraces, Trace, Traces
from gbs_actor.lineup.codes import Code

MAX_REASON: Final = 500
"""Characters."""
_MAX_SID: Final = 64

_NO_SESSION: Final = Failure.because(Code.NOT_FOUND, "There is no such session.")
_TOO_MANY: Final = Failure.because(
    Code.RATE_LIMITED, f"{MAX_TRACES} traces are running; stop one, or wait."
)

logger = logging.getLogger(__name__)


class StopTraceBody(msgspec.Struct, rename="camel"):
    """Which trace: that of a user, or that of a session."""

    reason: Annotated[str, Meta(min_length=1, max_length=MAX_REASON)] | UnsetType = UNSET
    """Why, for the log."""
    user_id: Id = None
    sid: Annotated[str, Meta(min_length=1, max_length=_MAX_SID)] | None = None

    def target(self) -> Target:
        """Return the id of the user, or the sid.

        :raises InvalidPayload: both or none are given, there is no such id, or no reason.
        """
        required("reason", self.reason)
        if (self.user_id is None) == (self.sid is None):
            raise InvalidPayload("userId", "Either userId or sid is required.")
        return self.sid if self.sid is not None else one_id(("userId", self.user_id))


class TraceBody(StopTraceBody, rename="camel"):
    """Whom to trace, for how long."""

    minutes: Annotated[float, Meta(ge=1, le=MAX_MINUTES)] = 5
    with_memos: bool = False
    """Whether to show what is typed, names and e-mail addresses."""


class TraceList(msgspec.Struct, frozen=True, rename="camel"):
    """The traces that are running."""

    traces: tuple[Trace, ...]


class TracesChanged(TraceList, frozen=True, rename="camel"):
    """What an action has done, or would do."""

    changed: bool
    dry_run: bool
    message: str


_start: Final = msgspec.json.Decoder(TraceBody)
_stop: Final = msgspec.json.Decoder(StopTraceBody)


def admin_traces(clients: Clients, identity: AdminIdentity) -> Blueprint:
    """Return the routes about traces, for operators of the whole server."""
    blueprint = Blueprint("admin_traces", __name__, url_prefix=f"{ADMIN_PATH}/traces")
    traces = clients.traces

    @blueprint.get("")
    async def show() -> Response:
        identity.require_unrestricted(request)
        return fresh_response(TraceList(traces.statistics()))

    @blueprint.post("")
    async def start() -> Response:
        operator = identity.require_unrestricted(request)
        body = decode(await _body(), _start)
        target, dry_run = body.target(), "dry_run" in request.args
        if isinstance(target, str) and clients.find(target) is None:
            return failure_response(_NO_SESSION)
        try:
            traces.check(target)
        except TooManyTraces:
            return failure_response(_TOO_MANY)
        if not dry_run:
            traces.start(target, body.minutes, with_memos=body.with_memos)
            _log(operator, "started", target, body)
        message = f"Traced for {body.minutes:g} minutes."
        return _changed(traces, changed=not dry_run, dry_run=dry_run, message=message)

    @blueprint.post("/stop")
    async def stop() -> Response:
        operator = identity.require_unrestricted(request)
        body = decode(await _body(), _stop)
        target, dry_run = body.target(), "dry_run" in request.args
        running = traces.has(target)
        message = "Not traced any more." if running else "There was no such trace."
        if running and not dry_run:
            traces.stop(target)
            _log(operator, "stopped", target, body)
        changed = running and not dry_run
        return _changed(traces, changed=changed, dry_run=dry_run, message=message)

    return blueprint


async def _body() -> bytes:
    return await request.get_data(cache=True, as_text=False, parse_form_data=False)


def _changed(traces: Traces, *, changed: bool, dry_run: bool, message: str) -> Response:
    return fresh_response(TracesChanged(traces.statistics(), changed, dry_run, message))


def _log(operator: Operator, what: str, target: Target, body: StopTraceBody) -> None:
    who = "the operator token" if operator.user_id is None else f"user {operator.user_id}"
    whom = f"user {target}" if isinstance(target, int) else f"session {target}"
    logger.info("%s has %s a trace of %s: %r", who, what, whom, body.reason)
