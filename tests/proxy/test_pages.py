"""What a page of another origin, in Chromium, can read of what nginx itself answers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.drivers import Drivers
from tests.e2e.server_process import token
from tests.e2e.stock_client import Unanswered
from tests.e2e.test_other_origin import LINEUPS, opened
from tests.proxy.nginx import NginxProcess, refusing_port, running_nginx

pytestmark = [pytest.mark.node, pytest.mark.browser]


@pytest.fixture(scope="module")
def nginx(page: str) -> Iterator[NginxProcess]:
    """An nginx that knows the page, and whose server is down."""
    with refusing_port() as gone, running_nginx(gone, allowed_origins=[page]) as running:
        yield running


WRITE = {
    "method": "PUT",
    "headers": {
        "Content-Type": "application/json",
        "Idempotency-Key": "7a4e9c2f-6b1d-4a3e-9f08-2c5d7e8b1a46",
        "If-Match": "1",
    },
}


@pytest.mark.parametrize(
    ("request_", "refusal", "retry_after"),
    [
        pytest.param({}, (503, "ROOM_UNAVAILABLE"), "2", id="a read"),
        pytest.param({**WRITE, "body": "{}"}, (504, "OUTCOME_UNKNOWN"), "2", id="a write"),
        pytest.param(
            {**WRITE, "body": 1_000_001 * "x"}, (413, "CONTENT_TOO_LARGE"), None, id="too large"
        ),
    ],
)
async def test_a_page_can_read_why_nginx_did_not_pass_on(
    chromium_drivers: Drivers,
    nginx: NginxProcess,
    request_: dict[str, object],
    refusal: tuple[int, str],
    retry_after: str | None,
) -> None:
    async with opened(chromium_drivers, token()) as page:
        answer = await page.fetch(nginx.url + LINEUPS, **request_)
    assert (answer.status, json.loads(answer.body)["code"]) == refusal
    assert answer.headers.get("retry-after") == retry_after


@pytest.mark.parametrize("request_", [{}, {**WRITE, "body": "{}"}], ids=["a read", "a write"])
async def test_a_page_that_is_not_allowed_cannot(
    foreign_drivers: Drivers, nginx: NginxProcess, request_: dict[str, object]
) -> None:
    async with opened(foreign_drivers, token()) as page:
        with pytest.raises(Unanswered):
            await page.fetch(nginx.url + LINEUPS, **request_)
