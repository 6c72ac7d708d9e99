"""The types in the comments of the modules of the line-up page, and of its grid."""

from __future__ import annotations

import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

pytestmark = pytest.mark.node


@pytest.mark.parametrize("project", ["tsconfig.json", "tsconfig.page.json"])
def test_types_hold(node: str, drivers_folder: Path, project: str) -> None:
    compiler = drivers_folder / "node_modules" / "typescript" / "bin" / "tsc"
    folder = Path(str(files("gbs_actor.web"))) / "static" / "lineup"
    command = [node, str(compiler), "--project", str(folder / project)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.stdout == ""
    assert found.returncode == 0
