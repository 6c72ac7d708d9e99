"""``gbs-actor simulate``: runs of seeds, and what is reported if one breaks a rule."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gbs_actor.cli import simulation_runs
from gbs_actor.cli.progress import Progress
from gbs_actor.testing.simulation import Plan, draw, simulate
from gbs_actor.testing.simulation.checker import check
from gbs_actor.testing.simulation.plan import Participant, steps
from tests.cli.conftest import Command
from tests.cli.demo_process import CLI, environment
from tests.e2e.server_process import ROOT

SPURIOUS_CONFLICT = """
from gbs_actor.lineup import draft
draft.is_unseen = lambda stamp, base, command, epoch: base is not None
"""
DEADLY = """
import os
from gbs_actor.lineup import draft
draft.is_unseen = lambda *arguments: os._exit(9)
"""
OTHER_EACH_TIME = """
import uuid
from gbs_actor.testing.simulation import trace
trace.Trace.hash = property(lambda trace: str(uuid.uuid4()))
"""


@contextmanager
def started(fault: str, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start the command in processes that a fault is planted in, before anything else.

    None of them outlives the block.
    """
    (folder / "sitecustomize.py").write_text(fault)
    process = subprocess.Popen(
        [*CLI, "simulate", *arguments],
        env={**environment(folder), "PYTHONPATH": f"{folder}:{ROOT}", "COLUMNS": "100"},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a group of its own, as a terminal gives it
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def run(fault: str, folder: Path, *arguments: str) -> tuple[int, str, str]:
    with started(fault, folder, *arguments) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_seeds_that_break_no_rule_are_counted(command: Command) -> None:
    result = command("simulate", "--seeds", "0:6", "--check-hashes", "50", "--jobs", "2")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("9 runs, ")
    assert result.stdout.endswith("; none of them broke a rule.\n")


@pytest.mark.parametrize("layer", ["server", "nodes"])
def test_all_layers_and_other_profiles_and_sizes_run(command: Command, layer: str) -> None:
    sized = ("--clients", "2", "--steps", "3", "--profile", "calm", "--json")
    result = command("simulate", "--seed", "5", "--layer", layer, *sized)
    assert json.loads(result.stdout)["runs"] == 1
    assert result.exit_code == 0


def test_counters_say_what_was_reached(command: Command) -> None:
    result = command("simulate", "--seeds", "0:3", "--counters", "--json")
    counters = json.loads(result.stdout.splitlines()[0])["counters"]
    expected = sum(
        (simulate(seed).counters for seed in range(3)), start=type(simulate(0).counters)()
    )
    assert counters == expected


def test_a_run_is_printed_step_by_step(command: Command) -> None:
    result = command("simulate", "--seed", "3", "--trace")
    assert result.exit_code == 0
    shown = [line.rstrip() for line in result.stdout.splitlines()]
    assert shown == [line.rstrip() for line in str(simulate(3)).splitlines()]


def test_a_run_is_printed_for_machines(command: Command) -> None:
    result = command("simulate", "--seed", "3", "--trace", "--json")
    moments = simulate(3).history.moments
    assert [json.loads(line)["event"] for line in result.stdout.splitlines()] == [
        type(moment.event).__name__ for moment in moments
    ]


def test_a_seed_that_breaks_a_rule_is_made_small_and_printed_as_a_test(tmp_path: Path) -> None:
    code, out, err = run(SPURIOUS_CONFLICT, tmp_path, "--seeds", "0:100000", "--jobs", "1")
    assert code == 1, err
    assert "(rejected-right" in out
    assert "again: gbs-actor simulate --seed " in out
    assert " of 100,000 runs, " in out
    trace, _, written = out.partition("As a test:\n\n    plan = ")
    assert "!!!!!!!!  rejected-right: " in trace
    source, _, rest = written.partition('\n    assert check(simulate(plan, layer="rooms").history)')
    plan = eval(source, {"Plan": Plan, "Participant": Participant, "steps": steps})
    assert (len(plan.steps), len(plan.clients)) == (3, 2)  # of one process, always the same
    assert Plan.from_json(rest.splitlines()[-1]) == plan
    assert check(simulate(plan).history) == []  # nothing is planted here


def test_a_printed_plan_is_run_again(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    command = steps.Invoke(0, "create-lineup-memo", {"lineupId": 1, "memo": "c"}, behind=0)
    clients = (Participant(number=0, user=101),)
    plan.write_bytes(Plan(0, "written", clients, (steps.Wait(), command, steps.Wait())).json())
    code, out, _ = run(SPURIOUS_CONFLICT, tmp_path, "--replay", str(plan), "--json")
    assert code == 1
    found = json.loads(out)
    assert found["rules"] == ["rejected-right"]
    assert len(Plan.from_json(found["plan"]).steps) == 1
    code, out, _ = run("", tmp_path, "--replay", str(plan), "--trace")
    assert (code, "!!!" in out) == (0, False)
    code, out, _ = run(SPURIOUS_CONFLICT, tmp_path, "--replay", str(plan), "--trace")
    assert (code, "!!!!!!!!  rejected-right: " in out) == (1, True)


def test_it_goes_on_behind_a_violation_if_asked_to(tmp_path: Path) -> None:
    arguments = ("--seeds", "0:12", "--keep-going", "--json")
    code, out, err = run(SPURIOUS_CONFLICT, tmp_path, *arguments)
    assert code == 1, err
    lines = [json.loads(line) for line in out.splitlines()]
    (summary,) = (line for line in lines if "runs" in line)
    assert summary["runs"] == 12
    assert summary["broken"] == sum("seed" in line for line in lines) > 1
    small = [line for line in lines if "plan" in line]
    assert "rejected-right" in small[0]["rules"]


def test_what_differs_from_run_to_run_is_found(tmp_path: Path) -> None:
    code, out, _ = run(OTHER_EACH_TIME, tmp_path, "--seeds", "0:2", "--check-hashes", "100")
    assert code == 1
    assert "two runs differ: " in out


def test_a_process_that_dies_is_one_sentence(tmp_path: Path) -> None:
    code, _, err = run(DEADLY, tmp_path, "--seeds", "0:50")
    assert code == 1
    assert err.splitlines()[-1].startswith("Error: The process that ran seed ")
    assert err.endswith("has ended (exit code 9).\n")


def test_ctrl_c_ends_all_processes_and_reports_what_was_found(tmp_path: Path) -> None:
    arguments = ("--seeds", "0:1000000", "--jobs", "2", "--keep-going", "--json")
    with started(SPURIOUS_CONFLICT, tmp_path, *arguments) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)  # to the end of what all processes write to
    assert "rejected-right" in first["rules"]
    assert json.loads(out.splitlines()[-1])["broken"] >= 1
    assert "Traceback" not in err, err
    assert process.returncode == 1


def test_ctrl_c_before_anything_was_found_has_its_own_exit_code(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def interrupting(title: str) -> Iterator[Progress]:
        def advance(done: int, total: int | None) -> None:
            if done == 3:
                raise KeyboardInterrupt

        yield advance

    monkeypatch.setattr(simulation_runs, "rate_bar", interrupting)
    result = command("simulate", "--seeds", "0:1000000")
    assert result.exit_code == 130
    assert result.stdout.startswith("3 of 1,000,000 runs, ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--seeds", "7"), "--seeds '7': give two numbers, as 0:1000."),
        (("--seeds", "7:7"), "--seeds 7:7: there are none."),
        (("--seeds", "-1:7"), "--seeds '-1:7': give two numbers, as 0:1000."),
        (("--profile", "odd"), "There is no profile 'odd'; there are general, "),
        (("--trace",), "--trace prints one run: give its --seed."),
        (("--replay", "nowhere.json"), "nowhere.json cannot be read: "),
        (("--layer", "odd"), "Invalid value"),
        (("--jobs", "0"), "Invalid value"),
    ],
)
def test_wrong_options_are_wrong_usage(
    arguments: tuple[str, ...], sentence: str, command: Command
) -> None:
    result = command("simulate", *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_what_is_no_plan_is_not_run(command: Command, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"seed": 1}')
    result = command("simulate", "--replay", "plan.json")
    assert result.exit_code == 2
    assert "plan.json is no plan: " in result.stderr


def test_a_plan_reads_back_as_it_was_written() -> None:
    plans = [draw(seed, networked=seed % 2 == 0) for seed in range(40)]
    assert [Plan.from_json(plan.json()) for plan in plans] == plans
