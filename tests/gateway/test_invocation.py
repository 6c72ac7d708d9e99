from __future__ import annotations

import json
from collections import Counter
from typing import Any, cast

import pytest

from gbs_actor.gateway.client import Peer
from gbs_actor.gateway.invocation import Invocation, Outcome
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.rooms.delivery import Accepted, Done, Snapshot
from gbs_actor.rooms.encoded import EncodedRow

ROW = EncodedRow(7, 3, b'{"id":7}')
LIST = Snapshot(3, "e", True, b"[]")
REJECTION = Rejection(Code.NOT_FOUND, "gone")
OUTCOMES: list[Outcome] = [
    Accepted(3, ROW, (ROW,)),
    Done(3),
    LIST,
    REJECTION,
    Failure.because(Code.FORBIDDEN, "no"),
]


class RecordingPeer:
    """Records what goes out beside replies."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    def send_event(self, name: str, payload: bytes) -> None:
        self.sent.append((name, json.loads(payload)))

    def send_list(self, snapshot: Snapshot) -> None:
        self.sent.append(("initial-data", json.loads(snapshot.rows)))


class RecordingInvocation(Invocation):
    """An event of no transport."""

    def __init__(self, peer: RecordingPeer, *, wants_reply: bool, name: str = "event") -> None:
        super().__init__(cast(Peer, peer), name, wants_reply, 0.0, Counter())
        self.sent: list[dict[str, Any]] = []

    def argument(self) -> bytes:
        return b"null"

    def _send(self, json_: bytes) -> None:
        self.sent.append(json.loads(json_))


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
def test_a_reply_that_is_waited_for_goes_there_and_nowhere_else(outcome: Outcome) -> None:
    peer = RecordingPeer()
    invocation = RecordingInvocation(peer, wants_reply=True)
    invocation.reply(outcome)
    assert invocation.replied
    assert len(invocation.sent) == 1
    assert peer.sent == []


@pytest.mark.parametrize(
    ("outcome", "sent"),
    [
        (OUTCOMES[0], []),
        (OUTCOMES[1], []),
        (LIST, [("initial-data", [])]),
        (REJECTION, [("error", {"event": "event", "code": "NOT_FOUND", "message": "gone"})]),
        (OUTCOMES[4], [("error", {"event": "event", "code": "FORBIDDEN", "message": "no"})]),
    ],
)
def test_one_that_nobody_waits_for_is_a_list_an_error_event_or_nothing(
    outcome: Outcome, sent: list[tuple[str, Any]]
) -> None:
    peer = RecordingPeer()
    invocation = RecordingInvocation(peer, wants_reply=False)
    invocation.reply(outcome)
    assert invocation.replied
    assert invocation.sent == []
    assert peer.sent == sent


@pytest.mark.parametrize("wants_reply", [True, False])
def test_there_is_one_reply(wants_reply: bool) -> None:
    invocation = RecordingInvocation(RecordingPeer(), wants_reply=wants_reply)
    invocation.reply(Done(3))
    with pytest.raises(RuntimeError, match="'event' was replied to before"):
        invocation.reply(Done(3))


def test_an_event_without_a_name_is_null_in_its_error() -> None:
    peer = RecordingPeer()
    RecordingInvocation(peer, wants_reply=False, name="").reply(REJECTION)
    assert peer.sent[0][1]["event"] is None


def test_a_long_name_is_repeated_in_part() -> None:
    peer = RecordingPeer()
    RecordingInvocation(peer, wants_reply=False, name="x" * 5_000).reply(REJECTION)
    assert peer.sent[0][1]["event"] == "x" * 100
