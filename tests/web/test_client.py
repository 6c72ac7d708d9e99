"""The browser's client: its own tests, its types, and what it may use."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.web.workshop import CLIENT, HERE, tool

MODULES = sorted(CLIENT.glob("*.js"))
pytestmark = pytest.mark.node


@pytest.mark.parametrize("path", sorted(HERE.glob("*.test.mjs")), ids=lambda path: path.stem)
def test_its_tests_in_node(path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    command = [node, "--test", "--test-reporter=spec", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout


def test_it_has_the_version_of_the_server() -> None:
    assert json.loads((CLIENT / "package.json").read_text())["version"] == version("gbs-actor")


def test_its_types_are_strict(client_copy: Path) -> None:
    result = tool(client_copy, "tsc")
    assert result.returncode == 0, result.stdout


def test_a_wrong_type_is_found(client_copy: Path) -> None:
    (client_copy / "wrong.js").write_text(
        'import { Replica } from "./replica.js";\n'
        "export const wrong = new Replica().revision.length;\n"
    )
    result = tool(client_copy, "tsc")
    assert "Property 'length' does not exist on type 'number'" in result.stdout


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_only_two_modules_touch_the_page(path: Path) -> None:
    if path.name in {"visibility.js", "react.js"}:
        return
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text(), flags=re.DOTALL)
    found = re.search(r"\b(window|document|navigator|localStorage|sessionStorage)\b", code)
    assert found is None, found
    assert not re.findall(r'from "([^."][^"]*)"', code)  # nothing but its own modules
