"""What ``simulate`` prints: for people, or as JSON."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Final, Protocol

from gbs_actor.cli.output import echo, echo_json, echo_styled
from gbs_actor.testing.simulation import Plan
from gbs_actor.testing.simulation.examining import Case, Examined, Outcome
from gbs_actor.testing.simulation.lines import Line, LineKind
from gbs_actor.testing.simulation.shrink import source
from gbs_actor.testing.simulation.simulate import Layer

_STYLES: Final[Mapping[LineKind, str]] = {
    "client": "",
    "store": "green",
    "fault": "yellow",
    "run": "cyan",
    "violation": "bold red",
}


class Report(Protocol):
    """Where what is found goes."""

    def found(self, outcome: Outcome) -> None:
        """Report a run that breaks a rule."""
        ...

    def trace(self, examined: Examined) -> None:
        """Report all of a run."""
        ...

    def smallest(self, plan: Plan, layer: Layer, examined: Examined) -> None:
        """Report a plan that breaks a rule, and what happens in it."""
        ...

    def counters(self, counters: Mapping[str, int]) -> None:
        """Report how often what was reached."""
        ...

    def summary(self, done: int, total: int, found: int, seconds: float) -> None:
        """Report how many runs there were."""
        ...


class TextReport:
    """For people."""

    def found(self, outcome: Outcome) -> None:
        """See :class:`Report`."""
        case = outcome.case
        echo_styled((f"seed {case.seed}", "bold red"), (f" ({', '.join(outcome.rules)})", "red"))
        echo(*(f"  {line}" for each in outcome.found for line in each.splitlines()))
        echo(f"  again: {command(case)}{' --trace' if outcome.hash else ''}")

    def trace(self, examined: Examined) -> None:
        """See :class:`Report`."""
        if examined.trace is not None:
            for line in examined.trace.lines(examined.violations):
                _write(line)
            return
        for each in examined.found():
            echo_styled((each, "red"))

    def smallest(self, plan: Plan, layer: Layer, examined: Examined) -> None:
        """See :class:`Report`."""
        count = len(plan.steps)
        rules = ", ".join(examined.rules)
        echo("", f"{rules}, in a run of {count} step{'' if count == 1 else 's'}:", "")
        self.trace(examined)
        written = source(plan).replace("\n", "\n    ")
        call = f'simulate(plan, layer="{layer}")'
        echo("", "As a test:", "", *f"    plan = {written}".splitlines())
        echo(f"    assert check({call}.history) == []", "", "As a file for --replay:", "")
        echo(plan.json().decode())

    def counters(self, counters: Mapping[str, int]) -> None:
        """See :class:`Report`."""
        echo(*(f"{counters[name]:>12,}  {name}" for name in sorted(counters)))

    def summary(self, done: int, total: int, found: int, seconds: float) -> None:
        """See :class:`Report`."""
        stopped = "" if done == total else f" of {total:,}"
        rate = f", {done / seconds:.3g} a second" if seconds else ""
        runs = "run" if total == 1 else "runs"
        echo(f"{done:,}{stopped} {runs}{rate}; {found or 'none'} of them broke a rule.")


def _write(line: Line) -> None:
    echo_styled((str(line), _STYLES[line.kind]))


class JsonReport:
    """For scripts: an object a line."""

    def found(self, outcome: Outcome) -> None:
        """See :class:`Report`."""
        case = outcome.case
        about = {"seed": case.seed, "profile": case.profile, "layer": case.layer}
        found = {"rules": outcome.rules, "found": outcome.found, "again": command(case)}
        echo_json({**about, **found})

    def trace(self, examined: Examined) -> None:
        """See :class:`Report`."""
        if examined.trace is None:
            echo_json({"rules": examined.rules, "found": examined.found()})
            return
        for record in examined.trace.records(examined.violations):
            echo(record.decode())

    def smallest(self, plan: Plan, layer: Layer, examined: Examined) -> None:
        """See :class:`Report`."""
        found = {"rules": examined.rules, "found": examined.found()}
        written = {"source": source(plan), "plan": plan.json().decode()}
        echo_json({"layer": layer, **found, **written})

    def counters(self, counters: Mapping[str, int]) -> None:
        """See :class:`Report`."""
        echo_json({"counters": {name: counters[name] for name in sorted(counters)}})

    def summary(self, done: int, total: int, found: int, seconds: float) -> None:
        """See :class:`Report`."""
        echo_json({"runs": done, "of": total, "broken": found, "seconds": round(seconds, 3)})


def command(case: Case) -> str:
    """Return the command that repeats a run."""
    words = ["gbs-actor", "simulate", "--seed", str(case.seed)]
    words += [] if case.layer == "rooms" else ["--layer", case.layer]
    words += [] if case.profile == "general" else ["--profile", case.profile]
    words += [] if case.clients is None else ["--clients", str(case.clients)]
    words += [] if case.steps is None else ["--steps", str(case.steps)]
    return shlex.join(words)
