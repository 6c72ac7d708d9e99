"""The description of the API, against the app and the types it describes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gbs_actor.gateway.http import create_app
from gbs_actor.gateway.http.openapi import describe
from gbs_actor.gateway.http.openapi.schemas import SHOWS_NOTHING
from gbs_actor.gateway.http.responses import STATUS
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.records import Row
from gbs_actor.lineup.text import is_blank
from tests.gateway.serving import settings_with, world

DESCRIPTION = describe("accessToken")
COMPONENTS = DESCRIPTION["components"]
NOT_DESCRIBED = {
    "/",
    "/retreats/{}",
    "/assets/{}/{}",
    "/openapi.json",
    "/docs",
    "/docs/{}/{}",
    "/admin",
    "/admin/",
    "/admin/assets/{}/{}",
}
"""Pages for people, and the description itself."""

OPERATIONS = {
    (method.upper(), path): operation
    for path, methods in DESCRIPTION["paths"].items()
    for method, operation in methods.items()
}


def template(path: str) -> str:
    """Return a path without the names of its parameters."""
    return re.sub(r"\{[^}]*\}|<[^>]*>", "{}", path)


def test_it_is_openapi_3_1() -> None:
    OpenAPIV31SpecValidator(json.loads(json.dumps(DESCRIPTION))).validate()


async def test_it_describes_every_route_and_no_other() -> None:
    async with world() as here:
        routes = {
            (method, template(rule.rule))
            for rule in create_app(here.services).url_map.iter_rules()
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
            if template(rule.rule) not in NOT_DESCRIBED
        }
        assert routes == {(method, template(path)) for method, path in OPERATIONS}


async def test_the_app_gives_it_out_with_the_cookie_of_the_settings() -> None:
    async with world(settings_with(cookie_name="session")) as here:
        answer = (await here.get("/openapi.json")).json()
        assert answer["components"]["securitySchemes"]["cookie"]["name"] == "session"
        assert answer["paths"].keys() == DESCRIPTION["paths"].keys()


def test_a_row_is_described_field_by_field() -> None:
    described = COMPONENTS["schemas"]["Row"]
    assert set(described["properties"]) == set(Row.__struct_encode_fields__)
    assert set(described["required"]) == set(described["properties"])


@pytest.mark.parametrize("operation", sorted(OPERATIONS), ids=" ".join)
def test_every_operation_but_the_probes_wants_a_token_and_no_other_cookie_than_its_own(
    operation: tuple[str, str],
) -> None:
    wanted = OPERATIONS[operation].get("security", DESCRIPTION["security"])
    if operation[1] in {"/healthz", "/readyz"}:
        assert wanted == []
        return
    assert {"401", "403", "429"} <= OPERATIONS[operation]["responses"].keys()
    if operation in {("POST", "/admin/session"), ("GET", "/metrics")}:
        assert wanted == [{"bearer": []}]
    elif operation[1].startswith("/admin/"):
        assert wanted == [{"bearer": []}, {"adminSession": []}]
    else:
        assert wanted == [{"bearer": []}, {"cookie": []}]


def test_where_operators_have_their_own_address_they_are_not_described() -> None:
    described = describe("accessToken", has_admin=False)
    assert DESCRIPTION["paths"].keys() - described["paths"].keys() == {
        path for path in DESCRIPTION["paths"] if path.startswith(("/admin/", "/metrics"))
    }
    assert "operators" not in {tag["name"] for tag in described["tags"]}


def test_every_code_stands_under_its_status_and_under_no_other() -> None:
    codes: dict[str, int] = {}
    for operation in OPERATIONS.values():
        for status, response in operation["responses"].items():
            if "$ref" in response:
                described = COMPONENTS["responses"][response["$ref"].rpartition("/")[2]]
                schema = described["content"]["application/json"]["schema"]
                codes |= {
                    code: int(status) for code in schema["allOf"][1]["properties"]["code"]["enum"]
                }
    spoken = {str(code): status for code, status in STATUS.items() if code != Code.NOT_IN_ROOM}
    assert spoken.items() <= codes.items()
    assert codes.keys() - spoken.keys() == {
        "REQUEST_TIMEOUT",
        "CONTENT_TOO_LARGE",
        "UNSUPPORTED_MEDIA_TYPE",
    }


def headers_of(status: int) -> set[str]:
    for operation in OPERATIONS.values():
        response = operation["responses"].get(str(status))
        if response is not None and "$ref" in response:
            described: dict[str, Any] = COMPONENTS["responses"][response["$ref"].rpartition("/")[2]]
            return set(described.get("headers", {}))
    raise LookupError(status)


def test_the_headers_of_refusals_are_described() -> None:
    assert headers_of(401) == {"WWW-Authenticate"}
    assert headers_of(429) == headers_of(503) == {"Retry-After"}
    assert headers_of(404) == set()


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_every_write_takes_the_two_headers(method: str) -> None:
    """Apart from imports: an upload changes nothing, and an import's id is a key of its own."""
    for (verb, path), operation in OPERATIONS.items():
        writes = "/line-up/" in path and "/imports" not in path
        if verb == method and writes:
            names = {each["$ref"].rpartition("/")[2] for each in operation["parameters"]}
            assert {"idempotencyKey", "ifMatch"} <= names


def test_what_makes_no_memo_is_described() -> None:
    nothing = re.compile(f"[{SHOWS_NOTHING}]")
    for number in (*range(0xD800), *range(0xE000, 0x1_0000)):
        character = chr(number)
        assert bool(nothing.fullmatch(character)) == is_blank(character), hex(number)


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(names)) == len(names)


# The page


async def test_the_page_and_all_it_loads_come_from_here() -> None:
    async with world() as here:
        response = await here.get("/docs")
        page = response.body.decode()
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "//" not in page
        loaded = re.findall(r'(?:src|href)="([^"]*)"', page)
        assert len(loaded) == 4
        for path in loaded:
            asset = await here.get(f"/{path}")
            assert asset.status == 200, path
            assert "immutable" in asset.headers["Cache-Control"]
            assert asset.body


async def test_the_page_may_load_nothing_from_elsewhere() -> None:
    async with world() as here:
        policy = (await here.get("/docs")).headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe-eval" not in policy
        assert "http" not in policy


@pytest.mark.parametrize("path", ["/docs/0.0.0/start.js", "/docs/x/%2e%2e", "/docs/start.js"])
async def test_there_are_no_other_files(path: str) -> None:
    async with world() as here:
        assert (await here.get(path)).status == 404


async def test_the_index_page_leads_there() -> None:
    async with world(settings_with(serve_page=False)) as here:
        assert 'href="docs"' in (await here.get("/")).body.decode()
