from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.client.dialing import Endpoint
from gbs_actor.concurrency import Backoff


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "authority"),
    [
        ("http://gbs.test", "gbs.test", 80, False, "gbs.test"),
        ("ws://gbs.test:8080", "gbs.test", 8080, False, "gbs.test:8080"),
        ("https://gbs.test/", "gbs.test", 443, True, "gbs.test"),
        ("wss://[::1]:9000", "::1", 9000, True, "[::1]:9000"),
    ],
)
def test_a_url_says_where_the_server_is(
    url: str, host: str, port: int, tls: bool, authority: str
) -> None:
    endpoint = Endpoint.of(url, "/socket.io/")
    assert (endpoint.host, endpoint.port, endpoint.tls) == (host, port, tls)
    assert endpoint.authority == authority


def test_the_resource_asks_for_engine_io_4_over_websocket() -> None:
    endpoint = Endpoint.of("http://gbs.test/live", "/socket.io/")
    assert endpoint.resource == "/live/socket.io/?EIO=4&transport=websocket"


@pytest.mark.parametrize("url", ["gbs.test:8080", "ftp://gbs.test", "http://", ""])
def test_what_is_no_server_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not a server's URL"):
        Endpoint.of(url, "/socket.io/")


@given(st.integers(), st.floats(0, 1))
def test_waiting_times_stay_within_their_bounds(seed: int, jitter: float) -> None:
    backoff = Backoff(initial=0.5, maximum=8.0, jitter=jitter)
    delays = backoff.delays(random.Random(seed).random)
    for attempt in range(10):
        whole = min(0.5 * 2**attempt, 8.0)
        assert whole * (1 - jitter) <= next(delays) <= whole


@pytest.mark.parametrize(
    "wrong", [{"initial": 0.0}, {"maximum": 0.01}, {"factor": 0.5}, {"jitter": 2}]
)
def test_waiting_times_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must be|between"):
        Backoff(**wrong)
