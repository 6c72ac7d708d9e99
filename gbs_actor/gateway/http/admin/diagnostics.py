"""Levels of the log for some minutes, and profiles of the event loop."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta
from msgspec.structs import replace
from quart import Blueprint, Response, request

from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.gateway.http.admin.acting import ActionBody, ActionRequest, ActionResult
from gbs_actor.gateway.http.admin.audit import Audit
from gbs_actor.gateway.http.admin.identity import ADMIN_PATH, AdminIdentity
from gbs_actor.gateway.http.admin.responses import fresh_response
from gbs_actor.gateway.http.responses import failure_response
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.codes import Code
from gbs_actor.observability import (
    Level,
    LogLevels,
    LogLevelStatistics,
    LoopProfile,
    LoopProfiler,
    UnknownLogger,
)
from gbs_actor.observability.log_levels import MAX_MINUTES
from gbs_actor.observability.profile import MAX_SECONDS

_PROFILE_RUNNING: Final = Failure.because(Code.CONFLICT, "A profile is being made; one at a time.")


class LogLevelBody(ActionBody, frozen=True, kw_only=True):
    """Which level a part of the server logs at, for how long."""

    logger: Annotated[str, Meta(min_length=1, max_length=200)]
    """Such as `gbs_actor.rooms`."""
    level: Level
    minutes: Annotated[int, Meta(ge=1, le=MAX_MINUTES)] = 10


class ProfileBody(ActionBody, frozen=True, kw_only=True):
    """How long to profile."""

    seconds: Annotated[int, Meta(ge=1, le=MAX_SECONDS)] = 10


class LogLevelResult(ActionResult, frozen=True, kw_only=True):
    """The levels after a change."""

    levels: LogLevelStatistics


class ProfileResult(ActionResult, frozen=True, kw_only=True):
    """A profile."""

    profile: LoopProfile | None
    """null: only tried."""


_level_body: Final = msgspec.json.Decoder(LogLevelBody)
_profile_body: Final = msgspec.json.Decoder(ProfileBody)


def admin_diagnostics(
    levels: LogLevels, profiler: LoopProfiler, identity: AdminIdentity, audit: Audit
) -> Blueprint:
    """Return the routes, for operators of the whole server."""
    blueprint = Blueprint("admin_diagnostics", __name__, url_prefix=ADMIN_PATH)

    @blueprint.get("/log-levels")
    async def show_levels() -> Response:
        identity.require_unrestricted(request)
        return fresh_response(levels.statistics())

    @blueprint.post("/log-level")
    async def change_level() -> Response:
        operator = identity.require_unrestricted(request)
        asked = await ActionRequest.read(request, operator, _level_body)
        body, name = asked.body, asked.body.logger
        try:
            levels.check(name)
        except UnknownLogger as error:
            raise InvalidPayload("logger", str(error)) from None
        if not asked.dry_run:
            levels.change(name, body.level, body.minutes)
        result = LogLevelResult(
            changed=True,
            dry_run=asked.dry_run,
            message=f"{name} logs at {body.level} for {body.minutes} minutes.",
            levels=levels.statistics(),
        )
        return asked.respond(audit, result, "log.level", name)

    @blueprint.post("/profile")
    async def make_profile() -> Response:
        operator = identity.require_unrestricted(request)
        asked = await ActionRequest.read(request, operator, _profile_body)
        seconds = asked.body.seconds
        if profiler.running:
            return failure_response(_PROFILE_RUNNING)
        result = ProfileResult(
            changed=True,
            dry_run=asked.dry_run,
            message=f"The event loop of {seconds} seconds.",
            profile=None,
        )
        # Recorded now: the client may go away meanwhile.
        response = asked.respond(audit, result, "loop.profile")
        if asked.dry_run:
            return response
        return fresh_response(replace(result, profile=await profiler.profile(seconds)))

    return blueprint
