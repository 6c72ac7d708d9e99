"""Names and slugs that are made to do harm do none where operators read them."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any, Final
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from gbs_actor.client import connect
from tests.cli.pty_process import on_terminal
from tests.cli.test_terminal import EVIL
from tests.e2e.server_process import OPERATOR, RETREAT, ServerProcess, token
from tests.observability.test_terminal import STYLING, dangers
from tests.operators.operated import OPERATOR_TOKEN, admin, metrics, operated_server

SLUG: Final = (EVIL + '"} 1\n# TYPE gbs_ready counter\n\\{<script>alert(1)').replace("/", "|")
"""No path could have a slug with a slash."""
USER_ID: Final = 66


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with operated_server((SLUG,)) as running:
        yield running


def refused(server: ServerProcess, path: str, bearer: str | None) -> tuple[int, str]:
    """Ask without the right to; return status and code."""
    request = Request(server.url + path)
    if bearer is not None:
        request.add_header("Authorization", f"Bearer {bearer}")
    try:
        answered: HTTPResponse = urlopen(request, timeout=10)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, str(json.load(error)["code"])
    with answered:
        raise AssertionError(f"{path} was shown")


async def shown_on_terminal(server: ServerProcess, words: str, *arguments: str) -> str:
    """Run a command on a terminal until it has written some words; return all of it."""
    group, *rest = arguments
    more = {"GBS_ADMIN_TOKEN": OPERATOR_TOKEN, "COLUMNS": "2000"}
    command = (group, "--url", server.url, *rest)
    with on_terminal(*command, data=server.data_dir, **more) as terminal:
        return STYLING.sub("", await terminal.until(words))


async def test_metrics_terminals_and_the_log_take_no_harm_and_the_audit_has_the_refusals(
    server: ServerProcess,
) -> None:
    async with connect(server.url, token(USER_ID, EVIL)) as client:
        await client.join(SLUG)
        await client.assign(client.rows[-1].id, 3)

        # Without the right role or retreat, nothing is shown.
        path = f"/admin/rooms/{quote(SLUG, safe='')}"
        some = token(**{**OPERATOR, "name": EVIL}, retreats=[RETREAT])  # type: ignore[arg-type]
        for asked, bearer, expected in (
            (path, None, (401, "AUTH_REQUIRED")),
            (path, "nobody's", (401, "INVALID_TOKEN")),
            (path, token(USER_ID, EVIL), (403, "FORBIDDEN")),
            (path, some, (403, "FORBIDDEN")),
            ("/admin/audit", some, (403, "FORBIDDEN")),
            ("/metrics", some, (403, "FORBIDDEN")),
        ):
            assert await trio.to_thread.run_sync(refused, server, asked, bearer) == expected

        # The audit has that, in text as it was.
        records: list[dict[str, Any]] = []
        with trio.fail_after(30):
            while len(records) < 6:
                records = (await admin(server, "/audit?action=access"))["records"]
        assert [
            (each["target"], each["operatorId"], each["details"]) for each in reversed(records)
        ] == [
            (f"GET /admin/rooms/{SLUG}", None, "AUTH_REQUIRED"),
            (f"GET /admin/rooms/{SLUG}", None, "INVALID_TOKEN"),
            (f"GET /admin/rooms/{SLUG}", USER_ID, "FORBIDDEN"),
            (f"GET /admin/rooms/{SLUG}", OPERATOR["user_id"], "FORBIDDEN"),
            ("GET /admin/audit", OPERATOR["user_id"], "FORBIDDEN"),
            ("GET /metrics", OPERATOR["user_id"], "FORBIDDEN"),
        ]
        assert {each["outcome"] for each in records} == {"refused"}

        # Prometheus reads one sample of the room, and gbs_ready is what it was.
        families = {
            each.name: each for each in text_string_to_metric_families(await metrics(server))
        }
        subscribers = {
            sample.labels["room"]: sample.value
            for sample in families["gbs_room_subscribers"].samples
        }
        assert subscribers[SLUG] == 1
        assert families["gbs_ready"].type == "gauge"

        # A terminal obeys nothing of it.
        for words, arguments in (
            ("sorted by", ("top", "-o", "table")),
            ("[link=", ("events", "--last", "500")),
            ("rooms\r\n", ("admin", "rooms")),
            ("[link=", ("admin", "audit")),
        ):
            written = await shown_on_terminal(server, words, *arguments)
            assert "[red]" in written
            assert dangers(written) <= {"\r", "\n"}, arguments

    # Each line of the log is one document.
    entries = [json.loads(line) for line in server.log().splitlines()]
    audited = [entry for entry in entries if entry["event"] == "audit"]
    assert f"GET /admin/rooms/{SLUG}" in [entry["target"] for entry in audited]
