"""What the operating system says about this process."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from gbs_actor.observability import process, process_statistics
from tests.e2e.server_process import ROOT


def test_the_figures_are_those_of_this_process() -> None:
    found = process_statistics()
    assert found.pid == os.getpid()
    assert found.cpu_seconds > 0
    assert found.threads >= 1
    assert found.memory_bytes is not None
    # What is resident is more than the interpreter, and the peak is not below it by much: the
    # kernel counts in batches.
    assert 5_000_000 < found.memory_bytes < found.peak_memory_bytes + 5_000_000
    assert found.descriptor_limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_the_start_is_that_of_the_process_and_not_that_of_the_import() -> None:
    program = (
        "import time; time.sleep(0.5)\n"
        "from gbs_actor.observability import process_statistics\n"
        "print(process_statistics().started_at)"
    )
    before = time.time()
    printed = subprocess.check_output([sys.executable, "-c", program], cwd=ROOT)
    assert before - 0.1 < float(printed) < before + 0.4


@pytest.mark.parametrize("listing", [False, True])
def test_open_descriptors_are_counted(monkeypatch: pytest.MonkeyPatch, *, listing: bool) -> None:
    if listing:  # as before Linux 6.2
        monkeypatch.setattr("os.stat", lambda _: SimpleNamespace(st_size=0))
    before = process_statistics().open_descriptors
    files = [open(os.devnull) for _ in range(7)]  # noqa: SIM115
    after = process_statistics().open_descriptors
    for file in files:
        file.close()
    assert before is not None
    assert after == before + 7


def test_where_there_is_no_proc_what_is_there_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(process, "_DESCRIPTORS", tmp_path / "none")
    monkeypatch.setattr(process, "_STATM", tmp_path / "none")
    found = process_statistics()
    assert (found.memory_bytes, found.open_descriptors) == (None, None)
    assert found.peak_memory_bytes > 0
