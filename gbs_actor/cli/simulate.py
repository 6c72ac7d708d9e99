"""The command ``simulate``: runs of the server from seeds, or one of them step by step."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gbs_actor.cli.failures import (
    FAILED,
    INTERRUPTED,
    WRONG_USAGE,
    CommandFailed,
    expected_failures,
)

if TYPE_CHECKING:
    from gbs_actor.testing.simulation import Plan
    from gbs_actor.testing.simulation.examining import Case

MAX_JOBS: Final = 64


class Layer(StrEnum):
    """What is simulated."""

    ROOMS = "rooms"
    SERVER = "server"
    NODES = "nodes"


def simulate(
    seeds: Annotated[
        str, typer.Option(metavar="FIRST:END", help="The seeds to run, END not among them.")
    ] = "0:1000",
    seed: Annotated[int | None, typer.Option(min=0, help="Run only this one.")] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, max=MAX_JOBS, help="Processes beside each other.")
    ] = 1,
    layer: Annotated[
        Layer, typer.Option(help="Rooms over a store; the whole server; or rooms of several nodes.")
    ] = Layer.ROOMS,
    profile: Annotated[
        str, typer.Option(help="What is drawn; general: everything, others: what is rare there.")
    ] = "general",
    clients: Annotated[
        int | None, typer.Option(min=1, max=200, help="In each run, instead of a few.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Of each run, instead of some dozens.")
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Do not stop at the first violation.")
    ] = False,
    check_hashes: Annotated[
        float,
        typer.Option(
            metavar="PERCENT",
            min=0,
            max=100,
            help="Run so many of the seeds again, in other processes: the same must happen.",
        ),
    ] = 0.0,
    counters: Annotated[
        bool, typer.Option("--counters", help="Print how often what was reached.")
    ] = False,
    trace: Annotated[
        bool, typer.Option("--trace", help="Print the run of --seed or --replay step by step.")
    ] = False,
    replay: Annotated[
        Path | None,
        typer.Option(allow_dash=True, help="Run the plan in this file of JSON; -: standard input."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON objects, one a line, for scripts.")
    ] = False,
) -> None:
    """Simulate the server, with faults, and check everything its clients see.

    A seed decides what clients do, what fails, and in which order tasks run; the same seed is
    the same run, everywhere. If one breaks a rule, it is made small and printed as a plan for a
    test, and the exit code is 1. Ctrl-C ends it with what was done.

    It knows no SQL, PostgreSQL, kernel, TLS or browser, and no time that work takes.
    """
    with expected_failures():
        from gbs_actor.cli.simulation_output import JsonReport, TextReport
        from gbs_actor.cli.simulation_runs import Runs, run_plan, run_seeds

        report = JsonReport() if as_json else TextReport()
        first, end = _range(seeds) if seed is None else (seed, seed + 1)
        case = _case(first, profile, layer, clients, steps)
        if replay is not None:
            found = run_plan(_read(replay), case.layer, report, trace=trace)
        elif trace:
            if end != first + 1:
                raise CommandFailed("--trace prints one run: give its --seed.", WRONG_USAGE)
            found = run_plan(case.plan(), case.layer, report, trace=True)
        else:
            runs = Runs(case, end, jobs=jobs, keep_going=keep_going, percent=check_hashes)
            found = run_seeds(runs, report, counters=counters)
            if runs.interrupted and not found:
                raise typer.Exit(INTERRUPTED)
    if found:
        raise typer.Exit(FAILED)


def _range(text: str) -> tuple[int, int]:
    first, colon, end = text.partition(":")
    if not (colon and first.isascii() and first.isdigit() and end.isascii() and end.isdigit()):
        raise CommandFailed(f"--seeds {text!r}: give two numbers, as 0:1000.", WRONG_USAGE)
    if int(first) >= int(end):
        raise CommandFailed(f"--seeds {text}: there are none.", WRONG_USAGE)
    return int(first), int(end)


def _case(seed: int, profile: str, layer: Layer, clients: int | None, steps: int | None) -> Case:
    from gbs_actor.testing.simulation import PROFILES
    from gbs_actor.testing.simulation.examining import Case

    if profile not in PROFILES:
        known = ", ".join(PROFILES)
        raise CommandFailed(f"There is no profile {profile!r}; there are {known}.", WRONG_USAGE)
    return Case(seed, profile, layer.value, clients, steps)


def _read(path: Path) -> Plan:
    import sys

    import msgspec

    from gbs_actor.testing.simulation import Plan

    try:
        raw = sys.stdin.read() if str(path) == "-" else path.read_text()
        return Plan.from_json(raw)
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}.", WRONG_USAGE) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{path} is no plan: {error}.", WRONG_USAGE) from None
