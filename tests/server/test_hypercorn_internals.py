"""What of Hypercorn's inside is touched is still what was read when that was written."""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
from pathlib import Path
from pkgutil import resolve_name

import pytest
from hypercorn.config import Config

from gbs_actor.server.hypercorn import internals
from gbs_actor.server.hypercorn.internals import TOUCHED, limit_hypercorn

DIGESTS = {
    "hypercorn.app_wrappers:ASGIWrapper": "68a7cb2ef44b5127",
    "hypercorn.trio.tcp_server:TCPServer": "f0f8f8e6896600de",
    "hypercorn.trio.worker_context:WorkerContext": "38eb27cb0cd91edf",
    "hypercorn.protocol:ProtocolWrapper": "dbc44be7f0dc9e86",
    "hypercorn.protocol.h11:H11Protocol": "0011e2e74d19e563",
    "hypercorn.protocol.h11:H11Protocol._create_stream": "fe16f83ae75afd28",
    "hypercorn.protocol.h11:H11Protocol._maybe_recycle": "e8f9572fe79c097d",
    "hypercorn.trio.task_group:_handle": "4eafb12f71717038",
    "hypercorn.logging:Logger": "6667e7778b9fe1cc",
    "h11._connection:Connection": "8d4edd3b81e79312",
    "h11._events:Request": "bc58f9f92fdde508",
    "hypercorn.events:Updated": "f3e844f652e19c7a",
    "hypercorn.protocol:H11Protocol": "a27b72c4ca4cd907",
    "hypercorn.protocol.h11:WSStream": "6ee1275b34527ea9",
    "hypercorn.protocol.events:Data": "466614a7cdc8e5ad",
    "hypercorn.protocol.events:Event": "840e452fe8936981",
    "hypercorn.protocol.events:Request": "12375e4f8816b89a",
    "hypercorn.protocol.events:StreamClosed": "1b960d5a172864d7",
    "hypercorn.protocol.ws_stream:FrameTooLargeError": "3529bb866887b234",
    "hypercorn.protocol.ws_stream:Handshake": "9719691504660daa",
    "hypercorn.protocol.ws_stream:WebsocketBuffer": "17822cc6205dd164",
    "hypercorn.protocol.ws_stream:WSStream": "3fcc2c5f4decef14",
    "hypercorn.trio.run:worker_serve": "8e004012c673da39",
    "hypercorn.utils:LifespanFailureError": "404a2039b466f75d",
}
"""Of the source of each name, without layout; see :func:`digest`."""


def digest(name: str) -> str:
    """Return a digest of the source of ``module:name``, as it is on disk.

    Layout does not count, and neither does what replaces the name at run time.
    """
    module, _, path = name.partition(":")
    source = inspect.getsource(importlib.import_module(module))
    node: ast.AST = ast.parse(source)
    for part in path.split("."):
        found = [each for each in ast.iter_child_nodes(node) if part in _names(each)]
        assert found, f"{module} does not define {path}"
        node = found[-1]
    words = (ast.get_source_segment(source, node) or "").split()
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:16]


def _names(node: ast.AST) -> list[str]:
    match node:
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            return [node.name]
        case ast.ImportFrom():
            return [alias.asname or alias.name for alias in node.names]
        case _:
            return []


def test_what_is_touched_has_not_changed() -> None:
    changed = sorted(name for name in TOUCHED if digest(name) != DIGESTS.get(name))
    assert not changed, "read what Hypercorn does there now, then put in its digest"
    assert set(DIGESTS) == set(TOUCHED)


def test_what_is_imported_is_listed() -> None:
    imported = set()
    for path in Path(internals.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hypercorn."):
                imported |= {f"{node.module}:{alias.name}" for alias in node.names}
            assert not isinstance(node, ast.Import) or "hypercorn" not in node.names[0].name
    modules = {"hypercorn.protocol:h11", "hypercorn.trio:run"}
    public = {
        name for name in imported if name.startswith(("hypercorn.config", "hypercorn.typing"))
    }
    assert imported - modules - public <= set(TOUCHED)


@pytest.mark.parametrize("name", TOUCHED)
def test_a_version_of_hypercorn_that_lacks_a_name_is_not_run(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    limit_hypercorn()
    owner, _, attribute = name.replace(":", ".").rpartition(".")
    monkeypatch.delattr(resolve_name(owner), attribute)
    with pytest.raises(RuntimeError, match=f"Hypercorn has no {name} any more"):
        limit_hypercorn()


def test_limits_are_set_once_however_often_it_is_asked_for() -> None:
    limit_hypercorn()
    first = resolve_name("hypercorn.protocol.h11:WSStream")
    limit_hypercorn()
    assert resolve_name("hypercorn.protocol.h11:WSStream") is first


@pytest.mark.parametrize(
    "setting",
    [
        "accesslog",
        "errorlog",
        "h11_max_incomplete_size",
        "include_server_header",
        "keep_alive_max_requests",
        "keep_alive_timeout",
        "logger_class",
        "websocket_max_message_size",
        "websocket_ping_interval",
    ],
)
def test_a_setting_of_hypercorn_that_is_made_exists(setting: str) -> None:
    assert hasattr(Config, setting)
