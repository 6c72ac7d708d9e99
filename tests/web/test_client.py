"""The browser's client: its own tests, its types, and what it may use."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.web.conftest import CLIENT, HERE

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


def test_its_types_are_strict(workshop: Path) -> None:
    command = [str(workshop / "node_modules/.bin/tsc"), "-p", str(workshop / "client")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_a_wrong_type_is_found(workshop: Path) -> None:
    folder = workshop / "wrong"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(workshop / "client", folder)
    with (folder / "lineup.js").open("a") as file:
        file.write("\nexport const wrong = new Replica().revision.length;\n")
    command = [str(workshop / "node_modules/.bin/tsc"), "-p", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Property 'length' does not exist on type 'number'" in result.stdout


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_only_two_modules_touch_the_page(path: Path) -> None:
    if path.name in {"visibility.js", "react.js"}:
        return
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text(), flags=re.DOTALL)
    found = re.search(r"\b(window|document|navigator|localStorage|sessionStorage)\b", code)
    assert found is None, found
    assert not re.findall(r'from "([^."][^"]*)"', code)  # nothing but its own modules
