"""TLS on the server's own listener, from the settings to the bytes on the wire."""

from __future__ import annotations

import json
import signal
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from cryptography import x509
from pydantic import SecretStr

from gbs_actor.client import Disconnected, connect
from gbs_actor.server.certificate import Certificate
from gbs_actor.server.hypercorn import HttpServer
from gbs_actor.server.listening import open_listeners, with_tls
from gbs_actor.settings import ServerSettings, Settings, SettingsError
from gbs_actor.socketio import FrontDoor
from tests.certificates import Authority, IssuedCertificate
from tests.e2e.server_process import RETREAT, ServerProcess, running_server
from tests.e2e.server_process import token as process_token
from tests.gateway.serving import SLUG
from tests.server.running import Running, answer, everything, running, secured, settings, token
from tests.server.test_serving import BEARER, EDIT, HEALTH, LINEUPS, UPLOAD


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def issued(authority: Authority, tmp_path: Path) -> IssuedCertificate:
    return authority.issue(tmp_path)


@pytest.fixture
async def server(authority: Authority, issued: IssuedCertificate) -> AsyncIterator[Running]:
    async with running(using=secured(issued), tls=authority.client_context()) as server:
        yield server


async def serves_the_next_client(server: Running) -> bool:
    async with server.connect() as peer:
        joined = await peer.call("join-retreat", SLUG)
    async with await server.stream() as stream:
        healthy = await answer(stream, HEALTH)
    return joined["status"] == "OK" and healthy.startswith(b"HTTP/1.1 200")


# What is served


async def test_the_list_is_read_over_https(server: Running) -> None:
    async with httpx.AsyncClient(verify=server.tls or False) as http:
        response = await http.get(server.url + LINEUPS, headers=BEARER)
    assert (response.status_code, response.http_version) == (200, "HTTP/1.1")


async def test_a_websocket_over_tls_joins_the_namespace_and_edits(server: Running) -> None:
    async with server.connect() as peer:
        assert (await peer.call("join-retreat", SLUG))["status"] == "OK"
        assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"
        assert (await peer.event("lineup-updated"))["gbsNumber"] == 3


async def test_our_own_client_speaks_tls(authority: Authority, server: Running) -> None:
    for url in (server.url, server.url.replace("https", "wss")):
        async with connect(url, token(), tls_context=authority.client_context()) as client:
            assert len(await client.join(SLUG)) == 6


async def test_our_own_client_says_why_it_does_not_trust_a_server(server: Running) -> None:
    with pytest.raises(Disconnected, match="certificate verify failed"):
        async with connect(server.url, token(), connect_timeout=0.5):
            raise AssertionError("connected")


async def test_the_app_is_told_that_it_is_called_over_https(
    authority: Authority, issued: IssuedCertificate
) -> None:
    async def tell(scope: Any, receive: Any, send: Any) -> None:
        told = f"{scope['scheme']} {scope['client'][0]} {scope['http_version']}"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": told.encode(), "more_body": False})

    http = HttpServer(tell, head_limit=16_384, max_payload=1_000_000, http_idle_timeout=60)
    listeners = await open_listeners("127.0.0.1", 0, 10)
    url = f"https://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    context = Certificate(issued.certificate, issued.key).context
    async with trio.open_nursery() as nursery:
        await nursery.start(FrontDoor({}, http.serve).serve, with_tls(listeners, context))
        client = httpx.AsyncClient(http2=True, verify=authority.client_context())
        async with client:
            told = (await client.get(url)).text
        nursery.cancel_scope.cancel()
    assert told == "https 127.0.0.1 1.1"


async def test_a_page_of_the_servers_own_origin_needs_no_permission(server: Running) -> None:
    async with await server.stream() as stream:
        request = (
            f"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: {server.address.host}\r\n"
            f"Cookie: accessToken=x\r\nOrigin: https://{server.address.host}\r\n\r\n"
        )
        assert (await answer(stream, request.encode())).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_1_2_and_later_are_spoken(
    authority: Authority, server: Running, version: ssl.TLSVersion
) -> None:
    context = authority.client_context()
    context.minimum_version = context.maximum_version = version
    server.tls = context
    assert await serves_the_next_client(server)


def test_no_older_version_is_offered_whatever_the_system_allows(issued: IssuedCertificate) -> None:
    context = Certificate(issued.certificate, issued.key).context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
async def test_older_versions_are_not_spoken(authority: Authority, server: Running) -> None:
    context = authority.client_context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.raises(trio.BrokenResourceError):
        await trio.SSLStream(
            await server.stream_below(), context, server_hostname="localhost"
        ).do_handshake()
    assert await serves_the_next_client(server)


async def test_an_answer_that_does_not_wait_for_the_body_is_not_lost_over_it(
    server: Running,
) -> None:
    for _ in range(5):
        async with await server.stream() as stream:
            assert (await answer(stream, UPLOAD)).startswith(b"HTTP/1.1 404 ")


# What must harm nobody else


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\x00\x01" + b"\xff" * 600, bytes(1_000), b"\r\n\r\n"]
)
async def test_what_is_no_tls_ends_its_own_connection_only(
    server: Running, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with await server.stream_below() as stream:
        await stream.send_all(data)
        await stream.send_eof()
        assert await everything(stream) in (b"", b"\x15\x03\x03\x00\x02\x02\x46")  # an alert
    assert await serves_the_next_client(server)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_request_without_tls_is_told_so(server: Running) -> None:
    async with await server.stream_below() as stream:
        await stream.send_all(HEALTH)
        await stream.send_eof()
        received = await everything(stream)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert "https" in json.loads(received.partition(b"\r\n\r\n")[2])["message"]


async def test_silent_clients_are_given_up_and_keep_nobody_waiting(
    authority: Authority, issued: IssuedCertificate
) -> None:
    http = settings().http.model_copy(update={"head_timeout": 0.5})
    using = secured(issued).model_copy(update={"http": http})
    async with running(using=using, tls=authority.client_context()) as server:
        began = trio.current_time()
        silent = [await server.stream_below() for _ in range(20)]
        assert await serves_the_next_client(server)
        for stream in silent:
            assert await everything(stream) == b""
        assert 0.5 <= trio.current_time() - began < 5


async def test_the_end_does_not_wait_for_a_handshake(server: Running) -> None:
    silent = await server.stream_below()
    assert await serves_the_next_client(server)
    server.scope.cancel()
    with trio.fail_after(5):
        await server.ended.wait()
        assert await everything(silent) == b""


async def test_an_idle_connection_over_tls_does_not_hold_up_the_end(server: Running) -> None:
    async with await server.stream() as stream:
        await answer(stream, HEALTH)
        server.scope.cancel()
        with trio.fail_after(5):
            assert await everything(stream) == b""
            await server.ended.wait()


# Which certificate


async def serial_of(server: Running) -> int:
    stream = await server.stream()
    assert isinstance(stream, trio.SSLStream)
    async with stream:
        await stream.do_handshake()
        return int(stream.getpeercert()["serialNumber"], 16)


@asynccontextmanager
async def reloadable(
    authority: Authority, using: Settings
) -> AsyncIterator[tuple[Running, trio.MemorySendChannel[None]]]:
    wish, wishes = trio.open_memory_channel[None](0)
    context = authority.client_context()
    async with running(using=using, tls=context, reloads=wishes) as server:
        yield server, wish


async def test_a_new_certificate_is_for_new_connections(
    authority: Authority, issued: IssuedCertificate, tmp_path: Path
) -> None:
    async with reloadable(authority, secured(issued)) as (server, wish), server.connect() as peer:
        assert await serial_of(server) == issued.serial
        renewed = authority.issue(tmp_path)
        assert await serial_of(server) == issued.serial
        await wish.send(None)
        await wish.send(None)  # taken only when the former is done
        assert await serial_of(server) == renewed.serial != issued.serial
        assert (await peer.call("join-retreat", SLUG))["status"] == "OK"


async def test_a_broken_new_certificate_leaves_the_old_one_in_use(
    authority: Authority, issued: IssuedCertificate, caplog: pytest.LogCaptureFixture
) -> None:
    async with reloadable(authority, secured(issued)) as (server, wish):
        issued.certificate.write_text("half a fi")
        await wish.send(None)
        with trio.fail_after(5):
            while not (errors := [each for each in caplog.records if each.levelname == "ERROR"]):
                await trio.testing.wait_all_tasks_blocked(0.01)
        assert await serial_of(server) == issued.serial
    assert len(errors) == 1
    assert "holds no certificate" in errors[0].getMessage()


async def test_an_unexpected_failure_of_reading_ends_no_server_and_the_next_one_is_done(
    authority: Authority,
    issued: IssuedCertificate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read_again, failing = Certificate.read_again, True

    def fail_once(certificate: Certificate) -> None:
        nonlocal failing
        if failing:
            failing = False
            raise MemoryError("meant to happen")
        read_again(certificate)

    monkeypatch.setattr(Certificate, "read_again", fail_once)
    async with reloadable(authority, secured(issued)) as (server, wish):
        with trio.fail_after(10):
            await wish.send(None)
            renewed = authority.issue(tmp_path)
            assert await serves_the_next_client(server)
            await wish.send(None)
            await wish.send(None)  # taken only when the former is done
        assert await serial_of(server) == renewed.serial


async def test_without_tls_there_is_nothing_to_read_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    wish, wishes = trio.open_memory_channel[None](0)
    async with running(reloads=wishes) as server:
        await wish.send(None)
        await wish.send(None)
        async with await server.stream() as stream:
            assert (await answer(stream, HEALTH)).startswith(b"HTTP/1.1 200")
    assert "speaks no TLS" in caplog.text


@pytest.mark.parametrize("password", [None, "비밀번호 with spaces"])
async def test_a_key_may_be_encrypted(
    authority: Authority, tmp_path: Path, password: str | None
) -> None:
    issued = authority.issue(tmp_path, password=password)
    secret = None if password is None else SecretStr(password)
    using = secured(issued, tls_key_password=secret)
    async with running(using=using, tls=authority.client_context()) as server:
        assert await serial_of(server) == issued.serial


# What stops the start


def complaint(certificate: Path, key: Path, password: str | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        Certificate(certificate, key, None if password is None else SecretStr(password))
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


def test_a_missing_file_is_named_with_its_setting(issued: IssuedCertificate) -> None:
    nowhere = Path("/nowhere/file.pem")
    assert complaint(nowhere, issued.key) == f"tls_certificate: {nowhere} does not exist."
    assert complaint(issued.certificate, nowhere) == f"tls_key: {nowhere} does not exist."


def test_a_file_that_cannot_be_read_is_named(issued: IssuedCertificate, tmp_path: Path) -> None:
    assert complaint(tmp_path, issued.key).startswith(f"tls_certificate: {tmp_path} cannot be read")


@pytest.mark.parametrize("content", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nMII\n"])
def test_a_file_that_is_no_pem_is_named(issued: IssuedCertificate, content: str) -> None:
    broken = issued.key.with_name("broken")
    broken.write_text(content)
    assert complaint(broken, issued.key).startswith(f"tls_certificate: {broken} holds no")
    assert complaint(issued.certificate, broken).startswith(f"tls_key: {broken} holds no")


def test_certificate_and_key_must_belong_together(
    authority: Authority, issued: IssuedCertificate, tmp_path: Path
) -> None:
    other = authority.issue(tmp_path, "other")
    assert "is not the key of the certificate" in complaint(issued.certificate, other.key)


def test_a_password_must_be_there_and_fit(authority: Authority, tmp_path: Path) -> None:
    issued = authority.issue(tmp_path, password="the password")
    assert complaint(issued.certificate, issued.key).endswith("set tls_key_password.")
    wrong = complaint(issued.certificate, issued.key, "geheim")
    assert "with this password" in wrong
    assert "geheim" not in wrong
    assert "tls_key_password" in complaint(issued.certificate, issued.key, "x" * 2_000)


async def test_the_server_does_not_start_with_a_certificate_that_cannot_be_used(
    issued: IssuedCertificate,
) -> None:
    issued.key.write_text("nonsense")
    with pytest.RaisesGroup(SettingsError, flatten_subgroups=True):
        async with running(using=secured(issued)):
            raise AssertionError("it started")


@pytest.mark.parametrize(
    "wrong",
    [
        {"tls_certificate": "x"},
        {"tls_key": "x"},
        {"tls_key_password": "x"},
        {"tls_certificate": "x", "tls_key_password": "x"},
    ],
)
def test_half_of_the_settings_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="tls_"):
        ServerSettings.model_validate(wrong)


# With real signals


@pytest.fixture(scope="module")
def process(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ServerProcess, Path]]:
    folder = tmp_path_factory.mktemp("tls")
    issued = authority.issue(folder, password="the password")
    environment = {
        "GBS_TLS_CERTIFICATE": str(issued.certificate),
        "GBS_TLS_KEY": str(issued.key),
        "GBS_TLS_KEY_PASSWORD": "the password",
    }
    with running_server(environment=environment) as server:
        yield server, folder


def _serial(server: ServerProcess) -> int:
    pem = ssl.get_server_certificate((server.host, server.port))
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


async def _logged(server: ServerProcess, text: str) -> str:
    """Wait for a line of the server's log."""
    with trio.fail_after(10):
        while True:
            for line in server.log().splitlines():
                if text in line:
                    return line
            await trio.sleep(0.02)


async def test_the_banner_says_https_and_the_list_is_there(
    process: tuple[ServerProcess, Path], authority: Authority
) -> None:
    server, _ = process
    assert server.url.startswith("https://127.0.0.1:")
    context = authority.client_context()
    async with connect(server.url, process_token(), tls_context=context) as client:
        assert len(await client.join(RETREAT)) == 80


async def test_sighup_reads_the_certificate_again_and_a_broken_one_changes_nothing(
    process: tuple[ServerProcess, Path], authority: Authority
) -> None:
    server, folder = process
    context = authority.client_context()
    async with connect(server.url, process_token(), tls_context=context) as client:
        await client.join(RETREAT)
        renewed = authority.issue(folder, password="the password")
        server.process.send_signal(signal.SIGHUP)
        await _logged(server, "the certificate was read again")
        assert _serial(server) == renewed.serial
        renewed.key.write_text("nonsense")
        server.process.send_signal(signal.SIGHUP)
        line = json.loads(await _logged(server, "the certificate in use stays"))
        assert line["level"] == "error"
        assert _serial(server) == renewed.serial
        # Nobody who was there has noticed.
        assert client.statistics().connections == 1
        assert client.connected
