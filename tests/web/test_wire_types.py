"""The types of the wire that the browser's client is checked with are those of the server."""

from __future__ import annotations

from pathlib import Path

import gbs_actor.web
from gbs_actor.contract.commands import BY_EVENT
from gbs_actor.contract.events import ClientEvent, ServerEvent
from scripts.wire_types import CLIENT_EVENTS, SERVER_EVENTS, wire_types

CLIENT = Path(gbs_actor.web.__file__).parent / "client"


def test_they_are_made_anew_after_each_change() -> None:
    assert (CLIENT / "wire.d.ts").read_text() == wire_types()


def test_they_have_every_event() -> None:
    assert set(SERVER_EVENTS) == set(ServerEvent)
    assert set(CLIENT_EVENTS) == {*ClientEvent, *BY_EVENT}
