"""The model reads arguments as the gateway does, without knowing of it."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from gbs_actor.contract.commands import BY_EVENT
from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.testing.simulation.model import Malformed, asked

_IDS: list[Any] = [1, "1", "01", 1.0, 1.5, 0, -1, 2**63, "x", None, True, "1" * 20]
_NUMBERS: list[Any] = [1, 9_999, 10_000, 0, None, 2.0, 2.5, "3", "03", "12345", True]
_TEXTS: list[Any] = ["a", " a\u3000", "", "\u200b", "a\0", "x" * 2_001, 7, None]
_COLORS: list[Any] = [None, "", "transparent", "#aabbcc", "#AABBCC", "red", 7]
_FLAGS: list[Any] = [True, False, "true", None, 1]
_REVISIONS: list[Any] = [0, 5, 5.0, -1, 2**63, "5", None, True]
_UUID = "7f0c2f52-4f58-4f0e-9c4e-6f7e0a3b9d10"


def an_argument(rnd: random.Random) -> dict[str, Any]:
    """Anything that some command takes, and some of it wrong."""
    members: dict[str, list[Any]] = {
        "lineupId": _IDS,
        "userRetreatRegistrationId": _IDS,
        "memoId": _IDS,
        "userRetreatRegistrationMemoId": _IDS,
        "gbsNumber": _NUMBERS,
        "memo": _TEXTS,
        "color": _COLORS,
        "ifEmpty": _FLAGS,
        "applyLineupNumber": _FLAGS,
        "onConflict": ["skip", "refuse", "other", None],
        "gbsNumbers": [[1], [3, 1], [1, 2, 2], [], [0], ["4"], [1, 2_000], 5],
        "leaderUserIds": [[101], ["101", 102], [], [0], 5, [None]],
        "assignments": [[an_item(rnd) for _ in range(rnd.randint(0, 3))], {}, None],
        "baseRevision": _REVISIONS,
        "revision": _REVISIONS,
        "commandId": [_UUID, "no id", None, 5],
        "idempotencyKey": [_UUID, "no id", None],
        "epoch": ["e1", None, "x" * 201, 5],
        "retreatSlug": ["winter", None, "", 5],
    }
    chosen = rnd.sample(list(members), rnd.randint(1, 7))
    return {name: _one(rnd, members[name]) for name in chosen}


def an_item(rnd: random.Random) -> dict[str, Any]:
    members = {
        "lineupId": _IDS,
        "gbsNumber": _NUMBERS,
        "isLeader": _FLAGS,
        "currentLeaderName": ["a", "", 5, None],
        "lineupNumber": _NUMBERS,
        "baseRevision": _REVISIONS,
    }
    chosen = rnd.sample(list(members)[1:], rnd.randint(0, 3))
    return {name: _one(rnd, members[name]) for name in ["lineupId", *chosen]}


def _one(rnd: random.Random, values: list[Any]) -> Any:
    """Mostly the first, which is right everywhere."""
    return values[0] if rnd.random() < 0.7 else rnd.choice(values)


@pytest.mark.parametrize("event", BY_EVENT)
def test_arguments_are_read_as_by_the_gateway(event: str) -> None:
    rnd = random.Random(event)
    accepted = 0
    for _ in range(1_000):
        argument = an_argument(rnd)
        expected: object
        try:
            request = BY_EVENT[event].decode(msgspec.json.encode(argument))
        except InvalidPayload:
            expected = None
        else:
            expected = request.action, request.base_revision, request.epoch
            accepted += 1
        try:
            read = asked(event, argument, 1)
        except Malformed:
            assert expected is None, argument
        else:
            assert (read.action, read.base, read.epoch) == expected, argument
    assert accepted > 10
