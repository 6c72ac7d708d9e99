"""The types in the comments of the grid's modules."""

from __future__ import annotations

import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

pytestmark = pytest.mark.node


def test_types_hold(node: str, drivers_folder: Path) -> None:
    compiler = drivers_folder / "node_modules" / "typescript" / "bin" / "tsc"
    project = Path(str(files("gbs_actor.web"))) / "static" / "lineup" / "tsconfig.json"
    command = [node, str(compiler), "--project", str(project)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.stdout == ""
    assert found.returncode == 0
