"""Makes a plan that fails small, and writes it down for a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum

import msgspec
from msgspec.structs import replace

from gbs_actor.testing.simulation.plan import Plan, Step

StillFails = Callable[[Plan], bool]


def shrink(plan: Plan, still_fails: StillFails, *, attempts: int = 2_000) -> Plan:
    """Return a plan that fails, too, from which nothing can be left out.

    Steps, clients, limits and latency are dropped, in ever smaller pieces (ddmin), and what is
    repeated or waited for becomes less. Each plan on the way is valid, since a step stands for
    itself.

    :param still_fails: runs a plan, and returns whether what is looked for happens.
    :param attempts: how often that is called, at most.
    """
    return _Shrinking(plan, still_fails, attempts).run()


class _Shrinking:
    def __init__(self, plan: Plan, still_fails: StillFails, attempts: int) -> None:
        self._plan = plan
        self._still_fails = still_fails
        self._attempts = attempts

    def run(self) -> Plan:
        while True:
            before = self._plan
            self._drop_steps()
            self._drop_clients()
            self._drop_conditions()
            self._simplify_steps()
            if self._plan == before or self._attempts <= 0:
                return self._plan

    def _try(self, plan: Plan) -> bool:
        """Go on with a plan if it fails, too."""
        if self._attempts <= 0:
            return False
        self._attempts -= 1
        if not self._still_fails(plan):
            return False
        self._plan = plan
        return True

    def _drop_steps(self) -> None:
        size = len(self._plan.steps)
        while size >= 1:
            start = 0
            while start < len(self._plan.steps):
                steps = self._plan.steps
                if not self._try(replace(self._plan, steps=steps[:start] + steps[start + size :])):
                    start += size
            size //= 2

    def _drop_clients(self) -> None:
        for client in self._plan.clients:
            steps = tuple(
                step for step in self._plan.steps if getattr(step, "client", None) != client.number
            )
            others = tuple(each for each in self._plan.clients if each != client)
            self._try(replace(self._plan, clients=others, steps=steps))

    def _drop_conditions(self) -> None:
        for name in self._plan.settings:
            others = {key: value for key, value in self._plan.settings.items() if key != name}
            self._try(replace(self._plan, settings=others))
        level = (0.0,) * len(self._plan.latencies)
        for changes in (
            {"latency": 0.0},
            {"retreats": 1},
            {"latencies": self._plan.latencies[:-1]},
            {"latencies": level},
            {"bus": "none"},
            {"bus": "perfect"},
        ):
            simpler = replace(self._plan, **changes)
            if simpler != self._plan:
                self._try(simpler)

    def _simplify_steps(self) -> None:
        for index in range(len(self._plan.steps)):
            for simpler in _simpler(self._plan.steps[index]):
                steps = self._plan.steps
                self._try(replace(self._plan, steps=(*steps[:index], simpler, *steps[index + 1 :])))


def _simpler(step: Step) -> Iterator[Step]:
    """Yield what a step may be in its place: with one member less, or a smaller one."""
    for member in msgspec.structs.fields(type(step)):
        value = getattr(step, member.name)
        if not member.required and value != member.default:
            yield replace(step, **{member.name: member.default})
        if member.name == "argument":
            for smaller in _smaller(value):
                yield replace(step, argument=smaller)


def _smaller(argument: dict[str, object]) -> Iterator[dict[str, object]]:
    items = argument.get("assignments")
    if isinstance(items, Sequence) and len(items) > 1:
        for index in range(len(items)):
            yield {**argument, "assignments": [*items[:index], *items[index + 1 :]]}


def source(plan: Plan) -> str:
    """Return a plan as Python, an argument or step a line; names are those of the ``plan`` package.

    It is an expression for a test: ``simulate(Plan(…))``.
    """
    lines = [f"    seed={plan.seed},", f"    profile={plan.profile!r},", "    clients=("]
    lines += [f"        {_call(client)}," for client in plan.clients]
    lines += ["    ),", "    steps=("]
    lines += [f"        steps.{_call(step)}," for step in plan.steps]
    lines += ["    ),"]
    for name in ("people", "retreats", "settings", "latency", "latencies", "bus"):
        value = getattr(plan, name)
        if value != getattr(_PLAIN, name):
            lines.append(f"    {name}={value!r},")
    return "\n".join(["Plan(", *lines, ")"])


_PLAIN = Plan(0, "", (), ())


def _call(struct: msgspec.Struct) -> str:
    members = []
    for member in msgspec.structs.fields(type(struct)):
        value = getattr(struct, member.name)
        if member.required or value != member.default:
            members.append(f"{member.name}={_literal(value)}")
    return f"{type(struct).__name__}({', '.join(members)})"


def _literal(value: object) -> str:
    return f"{type(value).__name__}.{value.name}" if isinstance(value, Enum) else repr(value)
