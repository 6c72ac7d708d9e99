"""What /metrics says, and to whom."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

import pytest
import trio
import trio.testing
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus
from trio.testing import MockClock

from gbs_actor import __version__
from gbs_actor.auth import Role
from gbs_actor.gateway.audit_trail import AuditTrailStatistics
from gbs_actor.gateway.http import create_admin_app
from gbs_actor.gateway.http.metrics import families as metric_families
from gbs_actor.gateway.http.metrics import scrape
from gbs_actor.gateway.http.metrics.families import BUCKETS
from gbs_actor.gateway.http.metrics.scrape import Scrapes
from gbs_actor.gateway.http.metrics.snapshot import Snapshot, take_snapshot
from gbs_actor.rooms import RoomLoad, RoomLoads
from gbs_actor.store.write_check import WriteCheckStatistics
from tests.gateway.admin_site import ask
from tests.gateway.serving import SLUG, World, settings_with, world

METRICS_TOKEN = "7hWv0yGmJx8Qk2RzTn5BdHs3CfAeUp9L"
TOKEN = {"Authorization": f"Bearer {METRICS_TOKEN}"}
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


async def text(here: World, accept: str = "") -> str:
    headers = {**here.bearer(role=Role.ADMIN_MINISTER), "Accept": accept}
    response = await here.get("/metrics", headers)
    assert response.status == 200
    return response.body.decode()


async def samples(here: World) -> dict[str, float]:
    """Return each value by its name, with the labels behind it: ``gbs_rooms running``."""
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in prometheus(await text(here))
        for sample in family.samples
    }


async def test_it_counts_what_the_parts_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "FRESH", 0.0)
    async with world() as here:
        before = await samples(here)
        assert before["gbs_commits_total"] == before["gbs_rooms running"] == 0
        await here.assign(2, 1)
        await here.assign(3, 1)
        after = await samples(here)
        assert (after["gbs_rooms running"], after["gbs_commits_total"]) == (1, 2)
        assert after["gbs_commands_total accepted"] == 2
        assert after["gbs_batch_commands_count"] == after["gbs_batch_commands_bucket 1.0"] == 2
        assert after["gbs_commit_seconds_count"] == 2
        assert after[f"gbs_room_subscribers {SLUG}"] == 0
        assert after["gbs_database_up"] == after["gbs_database_lease_held"] == 1
        assert after["gbs_ready"] == 1
        here.server.composition.draining = True
        assert (await samples(here))["gbs_ready"] == 0


async def test_it_has_the_writes_of_the_check_and_the_records_of_the_audit() -> None:
    async with world() as here:
        taken = await take_snapshot(here.services)
    checks = WriteCheckStatistics(ready=False, writes=7, failures=2, age=9.0)
    taken = replace(taken, write_check=checks, audit=AuditTrailStatistics(3, 5, 1))
    shown = {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in metric_families.families(taken)
        for sample in family.samples
    }
    assert shown["gbs_write_checks_total succeeded"] == 7
    assert shown["gbs_write_checks_total failed"] == 2
    assert shown["gbs_audit_queued"] == 3
    assert shown["gbs_audit_records_total stored"] == 5
    assert shown["gbs_audit_records_total lost"] == 1


async def test_every_name_follows_the_rules_and_has_its_text() -> None:
    async with world() as here:
        shown = await text(here)
    families = list(prometheus(shown))
    assert len(families) > 40
    for family in families:
        assert re.fullmatch(r"(gbs|process)_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        assert family.type in {"counter", "gauge", "histogram"}
        for sample in family.samples:
            assert sample.labels.keys() <= {
                *("protocol", "transport", "reason", "code", "result", "state", "limit"),
                *("room", "source", "le", "version", "python"),
            }
    assert f'version="{__version__}"' in shown
    (ack,) = (family for family in families if family.name == "gbs_ack_seconds")
    bounds = [float(s.labels["le"]) for s in ack.samples if s.name.endswith("_bucket")]
    assert bounds == [*BUCKETS, float("inf")]


async def test_openmetrics_is_sent_to_who_asks_for_it() -> None:
    async with world() as here:
        both = await text(here), await text(here, OPENMETRICS)
        names = [
            {sample.name for family in families for sample in family.samples}
            for families in (
                prometheus(both[0]),
                openmetrics(both[1]),  # type: ignore[no-untyped-call]
            )
        ]
        assert names[0] == names[1]
        headers = {**here.bearer(role=Role.ADMIN_MINISTER), "Accept": OPENMETRICS}
        response = await here.get("/metrics", headers)
        assert response.headers["Content-Type"].startswith(
            "application/openmetrics-text; version=1"
        )
        assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text; version=x",
        "text/plain; version=1.x; q=zzz",
        "application/openmetrics-text; escaping=\x7f; version=9",
        ",;,=;" * 100,
    ],
)
async def test_a_strange_accept_field_harms_nothing(accept: str) -> None:
    async with world() as here:
        scrapes = Scrapes(partial(take_snapshot, here.services))
        assert b"gbs_build_info" in (await scrapes.text(accept))[0]


async def test_scrapes_within_a_second_share_one_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as here:
        first = await text(here)
        await here.assign(2, 1)
        assert await text(here) == first
        assert "gbs_commits_total 0.0" in (await text(here, OPENMETRICS))
        monkeypatch.setattr(scrape, "FRESH", 0.0)
        assert "gbs_commits_total 1.0" in await text(here)


async def test_unknown_reasons_are_one_label() -> None:
    async with world() as here:
        for reason in ("TOKEN_EXPIRED", 'x"} 1\n# hostile', "y" * 10_000):
            here.services.closed_sessions.add_refused(
                "websocket", "websocket", reason, address=None
            )
        shown = await samples(here)
    refused = {name: value for name, value in shown.items() if "gbs_refused_handshakes" in name}
    assert refused == {
        "gbs_refused_handshakes_total TOKEN_EXPIRED": 1,
        f"gbs_refused_handshakes_total {metric_families.OTHER}": 2,
    }


# Who may read it


async def status(here: World, headers: dict[str, str] | None = None) -> int:
    return (await ask(here, "GET", "/metrics", headers)).status


async def test_at_the_public_address_it_is_for_operators_of_everything() -> None:
    async with world() as here:
        assert await status(here) == 401
        assert await status(here, TOKEN) == 401
        assert await status(here, here.bearer(role=Role.LINEUP_STAFF)) == 403
        assert await status(here, here.bearer(role=Role.ADMIN_MINISTER, retreats=(SLUG,))) == 403
        assert await status(here, {"Cookie": f"accessToken={here.token()}"}) == 401
        assert await status(here, here.bearer(role=Role.ADMIN_MINISTER)) == 200


async def test_the_token_of_metrics_opens_that_and_nothing_else() -> None:
    async with world(settings_with(metrics_token=METRICS_TOKEN)) as here:
        assert await status(here, TOKEN) == 200
        assert await status(here, {"Authorization": f"Bearer {METRICS_TOKEN}x"}) == 401
        assert await status(here, {"Authorization": "Bearer \xe9"}) == 401
        assert await status(here) == 401
        assert await status(here, here.bearer(role=Role.ADMIN_MINISTER)) == 200
        for path in ("/admin/rooms", "/admin/system"):
            assert (await ask(here, "GET", path, TOKEN)).status == 401


async def test_at_an_address_of_its_own_it_is_open_unless_there_is_a_token() -> None:
    for token, expected in (("", 200), (METRICS_TOKEN, 401)):
        changes = {"metrics_token": token} if token else {}
        async with world(settings_with(admin_listen="127.0.0.1:0", **changes)) as here:
            assert await status(here) == 404
            client = create_admin_app(here.services).test_client()
            assert (await client.get("/metrics")).status_code == expected
            assert (
                await client.get("/metrics", headers=TOKEN if token else None)
            ).status_code == 200
            assert b"AUTH_REQUIRED" in await (await client.get("/admin/system")).data


async def test_few_rooms_are_shown_by_themselves_and_hostile_slugs_are_escaped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hostile = 'x"} 1\n# TYPE gbs_ready counter\n\\'
    async with world() as here:
        taken = await take_snapshot(here.services)
        loads = RoomLoads({hostile: RoomLoad(0.5, 7, 1)}, RoomLoad(2.0, 3, 0))
        made = Scrapes(partial(_return, replace(taken, loads=loads)))
        for accept, parse in (("", prometheus), (OPENMETRICS, openmetrics)):
            shown = (await made.text(accept))[0].decode()
            (family,) = (each for each in parse(shown) if each.name == "gbs_room_subscribers")
            assert {sample.labels["room"]: sample.value for sample in family.samples} == {
                hostile: 7,
                metric_families.OTHER_ROOMS: 3,
            }


async def _return(taken: Snapshot) -> Snapshot:
    await trio.lowlevel.checkpoint()
    return taken


async def test_who_scrapes_at_once_waits_for_one_snapshot(mock_clock: MockClock) -> None:
    taken = 0
    async with world() as here:

        async def take() -> Snapshot:
            nonlocal taken
            taken += 1
            await trio.sleep(0.5)
            return await take_snapshot(here.services)

        scrapes, bodies = Scrapes(take), set[bytes]()

        async def ask() -> None:
            bodies.add((await scrapes.text(""))[0])

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(0.5)
        assert (taken, len(bodies)) == (1, 1)
        mock_clock.jump(1.0)
        mock_clock.rate = 1000.0
        await ask()
        assert taken == 2
