"""What is vendored is what the packages of npm have; what is ours keeps to the pages' rules."""

from __future__ import annotations

import re
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

import gbs_actor.web
from gbs_actor.contract.client_metrics import BOUNDS

STATIC = Path(gbs_actor.web.__file__).parent / "static"
VENDOR = STATIC / "vendor"
CLIENT = STATIC.parent / "client"
OURS = sorted(
    path
    for folder in (STATIC, CLIENT)
    for path in folder.rglob("*.js")
    if not path.is_relative_to(VENDOR) and "node_modules" not in path.parts
)


def documented() -> dict[str, str]:
    """The hash of each file, as the table has it."""
    rows = re.findall(
        r"\| `([^`]+)`[^|]*\| `([0-9a-f]{64})` \|", (VENDOR / "VENDORED.md").read_text()
    )
    return dict(rows)


def test_vendored_files_are_those_of_the_packages() -> None:
    found = {
        path.relative_to(VENDOR).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "VENDORED.md"
    }
    assert found == documented()


def test_every_library_has_its_license() -> None:
    for library in (path for path in VENDOR.iterdir() if path.is_dir()):
        assert (library / "LICENSE").read_text().strip()


def test_there_is_something_to_check() -> None:
    assert len(documented()) >= 8
    assert len(OURS) >= 20


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_our_modules_parse_no_html_and_run_no_text(path: Path) -> None:
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write"
        r"|\beval\b|new Function|DOMParser|srcdoc|javascript:|\bstyle="
    )
    assert not forbidden.search(path.read_text())


def test_no_file_names_another_host() -> None:
    for path in [*OURS, *STATIC.rglob("*.css"), *STATIC.rglob("*.html")]:
        if not path.is_relative_to(VENDOR):
            assert not re.search(r"https?://|(?:src|href|url\()=?[\"']?//", path.read_text()), path


def test_all_texts_are_in_one_file() -> None:
    for path in OURS:
        if path.name in {"strings.js", "format.js"}:  # units of time are texts of the formats
            continue
        assert not re.search("[\uac00-\ud7a3]", path.read_text()), path


def test_the_client_counts_in_the_buckets_of_the_server() -> None:
    text = (CLIENT / "histogram.js").read_text()
    found = re.search(r"const BOUNDS = \[([^\]]+)\]", text)
    assert found
    assert tuple(int(each) for each in found[1].split(",")) == BOUNDS


@pytest.mark.node
@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_our_modules_are_javascript(path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    command = [node, "--check", "--experimental-default-type=module", str(path)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
