"""Every field of every event wrong in every way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bad_input.wire import NAMESPACE, Wire, wire_to
from tests.e2e.server_process import RETREAT, ServerProcess

HUGE = "9" * 5_000
WRONG_IDS = [
    "null", "true", "1.5", '"abc"', '""', '" 1"', '"+1"', '"1e3"', '"１"', "[]", "{}",
    str(2**63), f'"{2**63}"', '"' + "1" * 20 + '"', HUGE, f"-{HUGE}", f'"{HUGE}"', '"1\\u0000"',
    "1e400",
]  # fmt: skip
WRONG_NUMBERS = ["0", "-1", "10000", "1.5", "true", '"abc"', "[]", "{}", HUGE]
WRONG_MEMOS = [
    "null", "5", "true", "[]", "{}", '""', '"   "', '"a\\u0000b"', json.dumps("x" * 2_001),
    json.dumps("긴" * 300_000, ensure_ascii=False), '"\\ud800"',
]  # fmt: skip
WRONG_COLORS = [
    '"red"',
    '"#12345"',
    '"#1234567"',
    '"#GGGGGG"',
    "5",
    "true",
    "[]",
    '"#12345\\u0000"',
]
WRONG_REVISIONS = ["-1", "1.5", "true", '"x"', "[]", "{}", "999999999", HUGE]
WRONG_COMMAND_IDS = ["5", "true", '""', '"x"', "[]", "{}", '"' + "g" * 36 + '"', f'"{HUGE}"']

MEMO = {"memo": '"메모"'}
SHARED = {
    "baseRevision": WRONG_REVISIONS,
    "commandId": WRONG_COMMAND_IDS,
    "retreatSlug": ["5", "true", "[]", "{}", '""', '"a\\u0000"'],
    "epoch": ["5", "true", "[]", "{}"],
}
GOOD: dict[str, dict[str, str]] = {
    "update-gbs-number": {"lineupId": "ID", "gbsNumber": "3"},
    "create-lineup-memo": {"lineupId": "ID", **MEMO},
    "update-lineup-memo": {"memoId": "MEMO", **MEMO},
    "delete-lineup-memo": {"memoId": "MEMO"},
    "user-editing": {"lineupId": "ID", "field": '"gbsNumber"'},
    "join-retreat": {"retreatSlug": f'"{RETREAT}"'},
    "authenticate": {"token": '"x"'},
}
WRONG: dict[str, dict[str, list[str]]] = {
    "update-gbs-number": {"lineupId": WRONG_IDS, "gbsNumber": WRONG_NUMBERS, **SHARED},
    "create-lineup-memo": {
        "lineupId": WRONG_IDS, "memo": WRONG_MEMOS, "color": WRONG_COLORS, **SHARED,
    },
    "update-lineup-memo": {
        "memoId": WRONG_IDS, "memo": WRONG_MEMOS, "color": WRONG_COLORS, **SHARED,
    },
    "delete-lineup-memo": {"memoId": WRONG_IDS, **SHARED},
    "user-editing": {
        "lineupId": WRONG_IDS, "field": ["5", "true", "[]", "{}"], "editing": ['"yes"', "1", "[]"],
    },
    "join-retreat": {
        "retreatSlug": ["null", "5", "true", "[]", "{}", '""', '"a\\u0000"'],
        "since": ["-1", "1.5", "true", '"x"', "[]", HUGE],
        "epoch": ["5", "true", "[]", "{}"],
    },
    "authenticate": {"token": ["null", "5", "true", "[]", "{}"]},
}  # fmt: skip
WRONG_ARGUMENTS = ["", "null", "5", "true", "[]", '"x"', "{}", '"\\u0000"']


def _object(fields: dict[str, str], ids: dict[str, str]) -> str:
    pairs = (f'"{name}":{ids.get(it, it)}' for name, it in fields.items())
    return "{" + ",".join(pairs) + "}"


def _wrong_payloads(event: str, ids: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong, and the event's JSON.

    :param ids: what ``ID`` and ``MEMO`` stand for.
    """
    good = GOOD[event]
    for name, values in WRONG[event].items():
        for value in values:
            wrong = _object({**good, name: value}, ids)
            yield f"{name}={value[:40]}", f'["{event}",{wrong}]'
    for name in set(good) - {"field"}:
        missing = _object({key: it for key, it in good.items() if key != name}, ids)
        yield f"no {name}", f'["{event}",{missing}]'
    for argument in WRONG_ARGUMENTS:
        yield f"argument {argument}", f'["{event}"{"," if argument else ""}{argument}]'


def _named(what: str) -> str:
    """Return the field that a refusal has to name; "": the argument as a whole is wrong."""
    if what.startswith("argument ") or "\\ud800" in what:
        return ""  # with half of a surrogate pair it is no JSON to the decoder
    return what.removeprefix("no ").partition("=")[0]


async def _room(wire: Wire, token: str) -> int:
    """Enter the room; return the id of somebody in it."""
    await wire.connect(token)
    answer = await wire.join(RETREAT)
    rows = answer["data"]
    return next(
        int(row["id"]) for row in rows if not row["isLeader"] and row["lineupMemoId"] is None
    )


@pytest.mark.parametrize("event", [it for it in WRONG if it != "join-retreat"])
async def test_whatever_is_wrong_with_a_field_the_answer_says_so(
    server: ServerProcess, good_token: str, event: str
) -> None:
    async with wire_to(server) as wire:
        row_id = await _room(wire, good_token)
        created = await wire.ask(f'["create-lineup-memo",{{"lineupId":{row_id},"memo":"메모"}}]')
        memo_id = str(created["data"]["lineupMemoId"])
        before = created["revision"]
        ids = {"ID": str(row_id), "MEMO": memo_id}
        for what, payload in _wrong_payloads(event, ids):
            answer = await wire.ask(payload)
            assert answer["status"] == "ERROR", (event, what, answer)
            assert answer["code"] == "VALIDATION_FAILED", (event, what, answer)
            assert _named(what) in answer["message"], (event, what, answer)
        assert (await wire.join(RETREAT))["revision"] == before
        await wire.ask(f'["delete-lineup-memo",{{"memoId":{memo_id}}}]')


async def test_whatever_is_wrong_with_a_join_the_room_is_kept(
    server: ServerProcess, good_token: str
) -> None:
    async with wire_to(server) as wire:
        row_id = await _room(wire, good_token)
        for what, payload in _wrong_payloads("join-retreat", {}):
            if payload.endswith(',"x"]'):
                continue  # a slug, if no retreat's
            answer = await wire.ask(payload)
            assert answer["code"] == "VALIDATION_FAILED", (what, answer)
            assert _named(what) in answer["message"], (what, answer)
        answer = await wire.ask(f'["user-editing",{{"lineupId":{row_id},"editing":false}}]')
        assert answer["status"] == "OK"


@pytest.mark.parametrize("row_id", ["0", "-1", "9223372036854775807", '"9223372036854775807"'])
async def test_a_person_who_is_not_there_is_not_found(
    server: ServerProcess, good_token: str, row_id: str
) -> None:
    async with wire_to(server) as wire:
        await _room(wire, good_token)
        answer = await wire.ask(f'["update-gbs-number",{{"lineupId":{row_id},"gbsNumber":3}}]')
        assert answer["code"] in {"NOT_FOUND", "VALIDATION_FAILED"}


async def test_two_spellings_that_disagree_are_refused(
    server: ServerProcess, good_token: str
) -> None:
    async with wire_to(server) as wire:
        await _room(wire, good_token)
        answer = await wire.ask(
            '["update-gbs-number",{"lineupId":1,"userRetreatRegistrationId":2,"gbsNumber":3}]'
        )
        assert answer["code"] == "VALIDATION_FAILED"


async def test_deep_nesting_is_refused(server: ServerProcess, good_token: str) -> None:
    nested = "[" * 50_000 + "]" * 50_000
    async with wire_to(server) as wire:
        await _room(wire, good_token)
        for argument in (nested, f'{{"lineupId":{nested}}}', f'{{"x":{nested},"lineupId":1}}'):
            answer = await wire.ask(f'["update-gbs-number",{argument}]')
            assert answer["code"] == "VALIDATION_FAILED"


async def test_a_memo_that_fills_the_whole_message_is_refused(
    server: ServerProcess, good_token: str
) -> None:
    async with wire_to(server) as wire:
        row_id = await _room(wire, good_token)
        memo = json.dumps("m" * 999_800)
        answer = await wire.ask(f'["create-lineup-memo",{{"lineupId":{row_id},"memo":{memo}}}]')
        assert answer["code"] == "VALIDATION_FAILED"


@pytest.mark.parametrize("name", ["", "rename", "join-retreat ", "JOIN-RETREAT", "x" * 10_000])
async def test_an_unknown_event_is_acknowledged_as_such(
    server: ServerProcess, good_token: str, name: str
) -> None:
    async with wire_to(server) as wire:
        await _room(wire, good_token)
        answer = await wire.ask(json.dumps([name, {}]))
        assert answer["code"] == "VALIDATION_FAILED"


async def test_an_unknown_event_without_a_callback_is_an_error_event(
    server: ServerProcess, good_token: str
) -> None:
    async with wire_to(server) as wire:
        await _room(wire, good_token)
        await wire.text(f'42{NAMESPACE},["rename"]')
        packet = ""
        while '"error"' not in packet:
            packet = await wire.packet()
        name, error = json.loads(packet.removeprefix(f"42{NAMESPACE},"))
        assert (name, error["event"], error["code"]) == ("error", "rename", "VALIDATION_FAILED")


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["lineupId", "memoId", "gbsNumber", "memo", "color", *SHARED])
            | st.text(max_size=8),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
CODES = {"VALIDATION_FAILED", "NOT_FOUND", "RETREAT_NOT_FOUND", "LEADER_LOCKED", "CONFLICT",
         "NOT_IN_ROOM", "INVALID_TOKEN", "AUTH_REQUIRED", "FORBIDDEN", "TOKEN_EXPIRED"}  # fmt: skip


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    events=st.lists(
        st.tuples(st.sampled_from(sorted(WRONG)) | st.text(max_size=12), st.lists(anything)),
        max_size=12,
    )
)
async def test_anything_that_is_json_is_answered_exactly_once(
    server: ServerProcess, good_token: str, events: list[tuple[str, list[Any]]]
) -> None:
    reserved = {"connect", "connect_error", "disconnect", "disconnecting", "newListener",
                "removeListener"}  # fmt: skip
    async with wire_to(server) as wire:
        await _room(wire, good_token)
        for name, arguments in events:
            if name in reserved:
                continue
            # ask() fails if anything but the answer with the very next id comes.
            answer = await wire.ask(json.dumps([name, *arguments]))
            assert answer["status"] == "OK" or answer["code"] in CODES, (name, arguments, answer)
