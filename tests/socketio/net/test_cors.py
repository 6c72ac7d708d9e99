from __future__ import annotations

import pytest

from gbs_actor.socketio import CorsPolicy, is_preflight

PAGE = "https://page.example"
POLICY = CorsPolicy.of([PAGE], ["GET", "POST"], ["Content-Type"], ["ETag"])


def test_the_allowed_origin_is_named_and_may_use_cookies() -> None:
    fields = dict(POLICY.response_fields([PAGE]))
    assert fields == {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": PAGE,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "ETag",
    }


def test_a_preflight_is_also_told_methods_and_headers() -> None:
    fields = dict(POLICY.preflight_fields([PAGE]))
    assert fields["Access-Control-Allow-Origin"] == PAGE
    assert fields["Access-Control-Allow-Credentials"] == "true"
    assert fields["Access-Control-Allow-Methods"] == "GET, POST"
    assert fields["Access-Control-Allow-Headers"] == "Content-Type"
    assert int(fields["Access-Control-Max-Age"]) > 0


@pytest.mark.parametrize(
    "origins",
    [
        pytest.param([], id="none"),
        pytest.param([""], id="an empty one"),
        pytest.param(["null"], id="null"),
        pytest.param(["*"], id="a star"),
        pytest.param(["HTTPS://page.example"], id="scheme in capitals"),
        pytest.param(["https://Page.example"], id="host in capitals"),
        pytest.param(["http://page.example"], id="another scheme"),
        pytest.param(["https://page.example:8443"], id="another port"),
        pytest.param(["https://page.example/"], id="with a slash"),
        pytest.param(["https://page.example.evil.example"], id="as a beginning"),
        pytest.param(["https://evil.example", PAGE], id="several"),
        pytest.param([PAGE, PAGE], id="twice"),
        pytest.param([f"{PAGE}, https://evil.example"], id="several in one field"),
    ],
)
def test_any_other_origin_gets_nothing_but_that_answers_differ(origins: list[str]) -> None:
    policy = CorsPolicy.of([PAGE, "*", "null"], ["GET"])
    assert policy.response_fields(origins) == [("Vary", "Origin")]
    assert policy.preflight_fields(origins) == [("Vary", "Origin")]


def test_allowed_origins_may_be_written_carelessly() -> None:
    assert CorsPolicy.of(["HTTPS://Page.example/"], ["GET"]).allows([PAGE])


def test_lists_that_are_empty_make_no_field() -> None:
    policy = CorsPolicy.of([PAGE], ["GET"])
    names = {name for name, _ in policy.preflight_fields([PAGE])}
    assert "Access-Control-Expose-Headers" not in names
    assert "Access-Control-Allow-Headers" not in names


def test_options_alone_is_no_preflight() -> None:
    assert is_preflight("OPTIONS", "PUT")
    assert not is_preflight("OPTIONS", None)
    assert not is_preflight("GET", "PUT")
