from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import trio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gbs_actor.client import connect
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token

ISSUER = "https://page.example.org"


@pytest.fixture(scope="package")
def public_key() -> bytes:
    """The public key that the server also verifies tokens with, as PEM."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048).public_key()
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.fixture(scope="package")
def server(public_key: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for all bad input, with short patience."""
    key_file = tmp_path_factory.mktemp("keys") / "public.pem"
    key_file.write_bytes(public_key)
    with running_server(
        environment={
            "GBS_HEAD_TIMEOUT": "1",
            "GBS_CONNECT_TIMEOUT": "2",
            "GBS_HTTP_IDLE_TIMEOUT": "3",
            "GBS_REQUEST_TIMEOUT": "5",
            "GBS_EVENT_RATE": "100000",
            "GBS_EVENT_BURST": "100000",
            "GBS_USER_RATE": "100000",
            "GBS_USER_BURST": "100000",
            "GBS_JOIN_RATE": "100000",
            "GBS_JOIN_BURST": "100000",
            "GBS_JWT_ISSUER": ISSUER,
            "GBS_JWT_PUBLIC_KEY_FILE": str(key_file),
        }
    ) as running:
        yield running


@pytest.fixture
def good_token() -> str:
    return token(iss=ISSUER)


@pytest.fixture(autouse=True)
def unharmed(server: ServerProcess, good_token: str) -> Iterator[None]:
    """After each test the next client is served, and nothing went wrong inside."""
    mark = len(server.log())
    yield
    assert server.alive(), server.log()[mark:]

    async def next_client() -> None:
        async with connect(server.url, good_token, connect_timeout=30) as client:
            assert len(await client.join(RETREAT)) == 80

    trio.run(next_client)
    assert server.get("/healthz") is not None
    for line in server.log()[mark:].splitlines():
        assert line.startswith("{"), line
        entry = json.loads(line)
        assert entry["level"] not in {"error", "critical"}, line
