"""What pages report of themselves: checked, limited, and counted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.auth import Role
from gbs_actor.contract.client_metrics import BOUNDS, LONGEST, MAX_REPORT, decode_report
from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.gateway.http.client_metrics import CLIENT_METRICS_PATH, REPORT_BURST
from gbs_actor.testing import HttpReply
from tests.gateway.admin_site import OWN
from tests.gateway.serving import World, settings_with, world

BUCKETS = len(BOUNDS) + 1


def times(*values: float) -> dict[str, Any]:
    """Return what a page reports of these, as it counts them."""
    counts = [0] * BUCKETS
    for value in values:
        counts[sum(bound < value for bound in BOUNDS)] += 1
    return {"bounds": list(BOUNDS), "counts": counts, "sum": sum(values)}


def report(**changes: Any) -> dict[str, Any]:
    return {
        "seconds": 60,
        "attempts": 3,
        "successes": 2,
        "reconnects": 1,
        "answers": times(4, 20, 45_000),
        "screens": times(8, 12.5),
    } | changes


async def send(here: World, content: Any, headers: dict[str, str] | None = None) -> HttpReply:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return await here.send("POST", CLIENT_METRICS_PATH, headers=headers, raw=raw)


async def samples(here: World) -> dict[str, float]:
    response = await here.get("/metrics", here.bearer(role=Role.ADMIN_MINISTER))
    lines = response.body.decode().splitlines()
    pairs = (line.rpartition(" ")[::2] for line in lines if line.startswith("gbs_client_"))
    return {name: float(value) for name, value in pairs}


async def test_reports_are_added_up_in_the_metrics() -> None:
    async with world() as here:
        for _ in range(2):
            response = await send(here, report())
            assert (response.status, response.body) == (204, b"")
        found = await samples(here)
    assert found["gbs_client_reports_total"] == 2
    assert found["gbs_client_reported_seconds_total"] == 120
    assert found["gbs_client_connection_attempts_total"] == 6
    assert found["gbs_client_connections_total"] == 4
    assert found["gbs_client_reconnections_total"] == 2
    assert found["gbs_client_answer_seconds_count"] == 6
    assert found["gbs_client_answer_seconds_sum"] == pytest.approx(90.048)
    assert found['gbs_client_answer_seconds_bucket{le="0.005"}'] == 2
    assert found['gbs_client_answer_seconds_bucket{le="10.0"}'] == 4
    assert found['gbs_client_answer_seconds_bucket{le="+Inf"}'] == 6
    assert found['gbs_client_screen_seconds_bucket{le="0.01"}'] == 2
    assert found['gbs_client_screen_seconds_bucket{le="0.02"}'] == 4


async def test_before_the_first_report_there_are_zeros() -> None:
    async with world() as here:
        assert set((await samples(here)).values()) == {0.0}


@pytest.mark.parametrize("content_type", ["text/plain;charset=UTF-8", "application/json"])
async def test_a_beacon_of_a_page_is_taken(content_type: str) -> None:
    async with world() as here:
        headers = {
            "Cookie": f"accessToken={here.token()}",
            "Content-Type": content_type,
            "Origin": OWN,
        }
        assert (await send(here, report(), headers)).status == 204
        headers["Origin"] = "https://page.example"  # of the settings
        assert (await send(here, report(), headers)).status == 204


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_a_beacon_of_another_page_is_refused(origin: str) -> None:
    async with world() as here:
        headers = {
            "Cookie": f"accessToken={here.token()}",
            "Content-Type": "text/plain",
            "Origin": origin,
        }
        assert (await send(here, report(), headers)).status == 403
        assert (await samples(here))["gbs_client_reports_total"] == 0


async def test_only_users_report() -> None:
    async with world() as here:
        response = await send(here, report(), {"Authorization": "Basic x"})
        assert response.status == 401
        bearer = here.bearer(expires_in=-100)
        assert (await send(here, report(), bearer)).status == 401


async def test_a_user_reports_so_often_at_most(autojump_clock: object) -> None:
    async with world() as here:
        for _ in range(REPORT_BURST):
            assert (await send(here, report())).status == 204
        response = await send(here, report())
        assert (response.status, response.headers["Retry-After"]) == (429, "2")
        other = here.bearer(user_id=8)
        assert (await send(here, report(), other)).status == 204
        assert (await samples(here))["gbs_client_reports_total"] == REPORT_BURST + 1


async def test_a_large_report_is_refused() -> None:
    async with world() as here:
        padded = json.dumps(report()).encode().ljust(MAX_REPORT)
        assert (await send(here, padded)).status == 204
        assert (await send(here, padded + b" ")).status == 413


async def test_another_type_is_refused() -> None:
    async with world() as here:
        headers = here.bearer() | {"Content-Type": "application/x-www-form-urlencoded"}
        assert (await send(here, report(), headers)).status == 415


BAD: dict[str, Any] = {
    "nothing": b"",
    "no JSON": b"{",
    "no UTF-8": b'"\xff"',
    "a list": [],
    "deep": b"[" * 2_000,
    "a field less": {"seconds": 1},
    "NaN": json.dumps(report(seconds=float("nan"))).encode(),
    "infinity": b'{"seconds": 1e999}',
    "a negative time": report(seconds=-1),
    "a year": report(seconds=31_536_000),
    "a negative number": report(attempts=-1),
    "a text": report(attempts="1"),
    "a fraction": report(attempts=1.5),
    "true": report(attempts=True),
    "very many": report(attempts=10**9),
    "a huge number": b'{"seconds": 1, "attempts": ' + b"9" * 3_000 + b"}",
    "more reconnects than connections": report(reconnects=3),
    "a bucket less": report(answers=times() | {"counts": [0] * (BUCKETS - 1)}),
    "a bucket more": report(answers=times() | {"counts": [0] * (BUCKETS + 1)}),
    "a negative bucket": report(answers=times() | {"counts": [-1] + [0] * (BUCKETS - 1)}),
    "other bounds": report(answers=times() | {"bounds": [1, *range(3, BUCKETS + 1)]}),
    "no bounds": report(answers={"counts": [0] * BUCKETS, "sum": 0}),
    "a negative sum": report(answers=times() | {"sum": -1}),
    "a sum of nothing": report(screens=times() | {"sum": 1}),
    "a sum that is too low": report(screens=times(300) | {"sum": 199}),
    "a sum that is too high": report(screens=times(300) | {"sum": 501}),
    "years": report(screens=times(40_000) | {"sum": 1e12}),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
async def test_bad_reports_are_refused_and_not_counted(content: Any) -> None:
    async with world() as here:
        response = await send(here, content, here.bearer() | {"Content-Type": "text/plain"})
        assert response.status == 400
        answer = response.json()
        assert answer["code"] == "VALIDATION_FAILED"
        assert len(answer["message"]) > 10
        assert set((await samples(here)).values()) == {0.0}


@given(st.lists(st.floats(0, LONGEST * 1_000), max_size=50))
def test_what_a_page_counts_as_agreed_is_taken(values: list[float]) -> None:
    found = decode_report(json.dumps(report(screens=times(*values))).encode())
    assert sum(found.screens.counts) == len(values)


@given(st.binary() | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_whatever_is_sent_there_is_one_exception(raw: bytes | str) -> None:
    with pytest.raises(InvalidPayload):
        decode_report(raw.encode() if isinstance(raw, str) else raw)


async def test_where_operators_have_their_own_address_pages_report_here() -> None:
    async with world(settings_with(admin_listen="127.0.0.1:9090")) as here:
        assert (await send(here, report())).status == 204
