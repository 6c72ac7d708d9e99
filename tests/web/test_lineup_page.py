"""The pure functions of the line-up page, tested in Node."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.node_packages import node_and_npm

HERE = Path(__file__).parent / "lineup"
pytestmark = pytest.mark.node


@pytest.mark.parametrize("path", sorted(HERE.glob("*.test.mjs")), ids=lambda path: path.stem)
def test_its_functions_in_node(path: Path) -> None:
    node, _ = node_and_npm()
    command = [node, "--test", "--test-reporter=spec", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout
