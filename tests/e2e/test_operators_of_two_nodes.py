"""Operators of two servers on one PostgreSQL, as processes of their own, from either of them."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import trio

from gbs_actor.client import connect
from tests.e2e.browser_page import browser_page
from tests.e2e.dashboard import act, events, facts, log_in, number, picture, show, table, until_read
from tests.e2e.server_process import OPERATOR, RETREAT, ServerProcess, token
from tests.e2e.test_two_nodes import node
from tests.proxy.nginx import NGINX, proxy


@pytest.fixture
def pair(database_url: str) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    with ExitStack() as stack:
        yield node(stack, database_url, "a"), node(stack, database_url, "b")


def asked(
    server: ServerProcess, path: str, body: dict[str, Any] | None = None
) -> tuple[int, dict[str, Any]]:
    """Return status and JSON of what an operator asks of a server; with a body, of an action."""
    request = Request(
        f"{server.url}/admin{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {token(**OPERATOR)}",  # type: ignore[arg-type]
            "Content-Type": "application/json",
        },
    )
    try:
        with urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        return error.code, json.load(error)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def states(server: ServerProcess) -> dict[str, str]:
    return {each["node"]: each["state"] for each in asked(server, "/nodes")[1]["nodes"]}


def nodes_of_rooms(server: ServerProcess) -> list[str]:
    return [each["node"] for each in asked(server, "/rooms")[1]["rooms"]]


async def test_operators_see_and_act_on_both_from_either(
    pair: tuple[ServerProcess, ServerProcess],
) -> None:
    a, b = pair
    async with connect(a.url, token=token(1)) as first, connect(b.url, token=token(2)) as second:
        for client in (first, second):
            await client.join(RETREAT)

        def look() -> None:
            until(lambda: states(a) == states(b) == {"a": "ready", "b": "ready"})
            until(lambda: nodes_of_rooms(a) == ["a", "b"])
            status, page = asked(a, "/sessions?sort=user")
            assert (status, page["total"], page["missing"]) == (200, 2, [])
            assert {each["node"] for each in page["sessions"]} == {"a", "b"}
            status, restarted = asked(a, f"/rooms/{RETREAT}/restart?node=b", {"reason": "a test"})
            assert (status, restarted["changed"]) == (200, True)
            status, kicked = asked(a, "/users/2/kick", {"reason": "a test"})
            assert (status, kicked["sessions"], kicked["missing"]) == (200, 1, [])
            until(lambda: asked(a, "/sessions")[1]["total"] == 1)
            until(lambda: len(asked(b, "/audit?action=user.kick")[1]["records"]) == 1)

        await trio.to_thread.run_sync(look)


def test_a_frozen_one_does_nothing_late_and_one_that_is_killed_is_gone(
    pair: tuple[ServerProcess, ServerProcess],
) -> None:
    a, b = pair
    until(lambda: states(a) == {"a": "ready", "b": "ready"})
    b.get(f"/api/v1/retreat/{RETREAT}/line-up/user-lineups", token())
    os.kill(b.pid, signal.SIGSTOP)
    try:
        status, failed = asked(a, f"/rooms/{RETREAT}/stop?node=b", {"reason": "a test"})
        assert status == 503
        assert "nothing was done" in failed["message"]
    finally:
        os.kill(b.pid, signal.SIGCONT)
    until(lambda: asked(a, "/overview?node=b")[0] == 200)  # it takes requests again
    assert b.room()["state"] == "running"
    assert asked(a, "/audit?action=room.stop")[1]["records"] == []
    b.kill()
    until(lambda: states(a) == {"a": "ready", "b": "gone"})
    assert asked(a, "/overview?node=b")[0] == 404
    b.start_again()
    until(lambda: states(a) == {"a": "ready", "b": "ready"})


def test_one_is_stopped_through_the_other(pair: tuple[ServerProcess, ServerProcess]) -> None:
    a, _ = pair
    until(lambda: states(a) == {"a": "ready", "b": "ready"})
    status, stopped = asked(a, "/drain?node=b", {"reason": "a test"})
    assert (status, stopped["changed"]) == (200, True)
    until(lambda: states(a) == {"a": "ready"})
    assert asked(a, "/overview")[1]["draining"] is False


@pytest.mark.node
@pytest.mark.browser
async def test_the_dashboard_shows_both_and_acts_on_the_other(
    pages: int, pair: tuple[ServerProcess, ServerProcess]
) -> None:
    a, b = pair
    async with (
        connect(a.url, token=token(1, "가은")) as first,
        connect(b.url, token=token(2, "나리")) as second,
        browser_page(pages, width=1280, height=860) as page,
    ):
        for client in (first, second):
            await client.join(RETREAT)
        await trio.to_thread.run_sync(until, lambda: nodes_of_rooms(a) == ["a", "b"])
        await log_in(page, a)
        await show(page, a, "nodes")
        rows = await until_read(
            lambda: table(page, "서버"), lambda rows: [row["접속"] for row in rows] == ["1", "1"]
        )
        assert [row["상태"].split()[-1] for row in rows] == ["준비됨", "준비됨"]
        await picture(page, "nodes")
        await show(page, a, "sessions?node=b")
        rows = await until_read(lambda: table(page, "세션"), lambda rows: len(rows) == 1)
        assert "나리" in rows[0]["사용자"]
        await show(page, a, "rooms")
        rows = await until_read(lambda: table(page, "룸"), lambda rows: len(rows) == 2)
        assert [row["서버"] for row in rows] == ["a", "b"]
        await picture(page, "rooms-of-two")
        await page.click("tbody tr:nth-child(2) a.name")
        await page.see("main h1")
        await page.see(".actions")
        assert "서버 b" in await page.text(".view-head")
        assert "The room" in await act(page, "재시작", "시험")
        assert await page.problems() == []
        os.kill(b.pid, signal.SIGSTOP)
        try:
            await page.click("button[aria-label='로그아웃']")
            await page.see(".login [role=status]")
            assert "세션이 끝나지 않았을 수 있습니다: b" in await page.text(".login")
        finally:
            os.kill(b.pid, signal.SIGCONT)


@pytest.mark.node
@pytest.mark.browser
@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
async def test_behind_a_proxy_a_view_is_of_the_server_that_it_names(
    pages: int, pair: tuple[ServerProcess, ServerProcess]
) -> None:
    named = dict(zip("ab", pair, strict=True))
    both = dict.fromkeys(named, "ready")
    for server in pair:
        await trio.to_thread.run_sync(until, lambda: states(server) == both)  # noqa: B023
    async with (
        proxy(*(server.port for server in pair)) as nginx,
        browser_page(pages, width=1280, height=860) as page,
    ):

        async def pid() -> int:
            await show(page, nginx, "tasks")
            await show(page, nginx, "system")
            return number((await facts(page))["프로세스"]["PID"])

        async def choice() -> str:
            name: str = await page.evaluate("document.querySelector('.server-choice select').value")
            return name

        await log_in(page, nginx)
        await show(page, nginx, "system")
        first = await choice()
        other = "b" if first == "a" else "a"
        for _ in range(6):  # each of which nginx passes to either of them
            assert await pid() == named[first].pid
        await page.step("choose", at=".server-choice select", value=other)
        for _ in range(6):
            assert await pid() == named[other].pid
        assert await choice() == other
        assert f"서버 {other}" in await act(page, "로그 수준 바꾸기", "시험")
        for name, server in named.items():
            _, levels = await trio.to_thread.run_sync(asked, server, "/log-levels")
            assert len(levels["temporary"]) == (name == other)
        await show(page, nginx, "events")
        kinds = await until_read(
            lambda: events(page),
            lambda shown: "operator.action" in {each["kind"] for each in shown},
        )
        assert "operator.action" in {each["kind"] for each in kinds}
        await picture(page, "events-of-one")
        await show(page, nginx, "system")
        assert f"서버 {other}" in await act(page, "서버 종료", "시험")
        await trio.to_thread.run_sync(until, lambda: not named[other].alive())
        assert named[first].alive()
        await page.see(".server-choice [role=status]")
        assert await choice() == other  # where the view's actions would be done
        assert f"응답하지 않는 서버: {other}" in await page.text(".server-choice")
