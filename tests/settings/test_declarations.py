"""A setting has one name and one default in the whole source, and reaches what it is for."""

from __future__ import annotations

import ast
import inspect
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import gbs_actor
from gbs_actor.auth import Authorizer
from gbs_actor.observability import configure_logging
from gbs_actor.observability.masking import SECRET_NAMES
from gbs_actor.server.hypercorn import HttpServer
from gbs_actor.settings import Settings, declarations
from gbs_actor.settings.errors import SECRETS
from gbs_actor.socketio import FrontDoor, OutboxLimits, ServerOptions
from gbs_actor.store.postgres.store import PostgresStore

SOURCE = Path(gbs_actor.__file__).parent
ELSEWHERE = {SOURCE / "client", SOURCE / "testing"}
"""Have names of their own: a connect_timeout at the other end, nodes that have numbers."""

NAMES = {name for _, name, _ in declarations()}
PARTS: list[Callable[..., object]] = [
    Authorizer,
    configure_logging,
    ServerOptions,
    OutboxLimits,
    FrontDoor,
    HttpServer,
    PostgresStore.open,
]


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in SOURCE.rglob("*.py"):
        if ELSEWHERE.isdisjoint(path.parents):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def defaults(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names and defaults of all parameters and annotated fields."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            positional = [*node.args.posonlyargs, *node.args.args]
            with_default = positional[len(positional) - len(node.args.defaults) :]
            yield from (
                (arg.arg, value)
                for arg, value in zip(with_default, node.args.defaults, strict=True)
            )
            for arg, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
                if value is not None:
                    yield arg.arg, value
        elif isinstance(node, ast.ClassDef):
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and field.value is not None:
                    yield ast.unparse(field.target), field.value


def is_written_out(value: ast.expr) -> bool:
    """Whether a default stands there itself, and is not taken from another declaration."""
    if isinstance(value, ast.Constant) and value.value is None:
        return False
    return not any(isinstance(node, (ast.Name, ast.Attribute)) for node in ast.walk(value))


def test_every_default_is_written_in_one_place() -> None:
    found = defaultdict(list)
    for path, tree in modules():
        for name, value in defaults(tree):
            if name in NAMES and is_written_out(value):
                found[name].append(f"{path.relative_to(SOURCE)}:{value.lineno}")
    assert {name: lines for name, lines in found.items() if len(lines) > 1} == {}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__qualname__)
def test_the_defaults_of_a_part_are_those_of_the_settings(part: Callable[..., object]) -> None:
    by_name = {name: info.default for _, name, info in declarations()}
    parameters = inspect.signature(part).parameters.values()
    own = {each.name: each.default for each in parameters if each.default is not each.empty}
    taken = {name for name in own if name in by_name}
    if part is FrontDoor:
        taken -= {"trusted_proxies"}  # of another type, and always given
    if part is HttpServer:
        taken -= {"ping_interval", "ping_timeout"}  # none, unless they are given
    assert {name: own[name] for name in taken} == {name: by_name[name] for name in taken}


def test_every_setting_is_read() -> None:
    read = {name for part in PARTS for name in inspect.signature(part).parameters}
    for path, tree in modules():
        if path.parent.name != "settings":
            read |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert NAMES - read == set()


def test_every_secret_is_known_as_one() -> None:
    secrets = {name for _, name, info in declarations() if "SecretStr" in str(info.annotation)}
    assert secrets == SECRETS
    # Of these the password alone is masked.
    assert secrets - {"database_url", "bus_url"} <= SECRET_NAMES


@dataclass
class Part:
    first: str
    port: int
    host: str = "nowhere"
    other: int = 5


def test_a_part_is_given_each_setting_that_it_has_a_parameter_for() -> None:
    settings = Settings.load(environment={"GBS_PORT": "81"})
    assert settings.build(Part, "x") == Part("x", 81, "127.0.0.1", 5)


def test_what_is_given_to_a_part_goes_before_the_settings() -> None:
    assert Settings().build(Part, "x", port=1, other=2) == Part("x", 1, "127.0.0.1", 2)
