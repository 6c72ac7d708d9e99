"""Histories in which connections end, or have to."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Literal

import msgspec

from gbs_actor.testing.simulation.history import (
    Answered,
    Closed,
    Delivered,
    Ending,
    Granted,
    History,
    Invoked,
    Kicked,
    Moment,
    Opened,
    Violated,
    WallSet,
)
from tests.testing.simulation.player import SLUG
from tests.testing.simulation.stories import Story

Unwanted = Literal["expired", "revoked", "kicked", "violated"]

EXPIRES_AFTER = 10.0
STAYS = 100.0
"""Seconds after the token was given at which a connection ends that has not renewed it."""
_UNIX = 1_700_000_000.0


def ends(
    why: Unwanted | None,
    code: int | None = None,
    ending: Ending = "server",
    *,
    after: float | None = None,
    notified: bool = True,
    resumed: bool = False,
) -> History:
    """The second client has to leave, or not, and its connection ends.

    :param after: seconds; ``None``: as soon as it has to.
    :param resumed: whether its session goes on for a moment.
    """
    story = _up_to(why, notified=notified)
    story.now += (STAYS if why == "expired" else 1.0) if after is None else after
    story.record(Closed(3, code, ending))
    if resumed:
        story.record(Opened(50, 1, 901, "rows", resumed=True, slug=SLUG))
        story.record(Closed(50))
    story.lines.pop(1)
    return story.end()


def stays(why: Unwanted, seconds: float = 150.0) -> History:
    """The second client has to leave, and stays for so long."""
    story = _up_to(why, notified=True)
    story.now += seconds
    return story.end()


def _up_to(why: Unwanted | None, *, notified: bool) -> Story:
    story = Story()
    story.history.moments.insert(0, Moment(0.0, WallSet(_UNIX)))
    match why:
        case "expired":
            claims = msgspec.json.encode({"exp": _UNIX + story.now + EXPIRES_AFTER})
            token = f"e30.{urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"
            argument = {"token": token}
            story.record(Invoked(77, 1, 901, 3, "authenticate", argument, SLUG, None))
            story.record(Answered(77, {"status": "OK", "data": None, "revision": 0}))
            if notified:
                notice = {"event": None, "code": "TOKEN_EXPIRED", "message": ""}
                story.record(Delivered(3, "error", notice))
        case "revoked":
            story.record(Granted(SLUG, 901, "none"))
        case "kicked":
            story.record(Kicked(901, done=False))
            story.record(Kicked(901, done=True))
        case "violated":
            story.record(Violated(3, 1009))
    return story
