"""``python -m scripts.attack [--only NAME…] [--seconds N]``."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from functools import partial

import trio
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from scripts.attack.attacks import ATTACKS
from scripts.attack.figures import Measured, percentile
from scripts.attack.running import Length, measure

QUIET = "without an attack"


def main(arguments: list[str] | None = None) -> int:
    """Attack, and print figures; return the exit status: 1 where a target is missed."""
    options = _parser().parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    names = [QUIET, *dict.fromkeys(options.only or ATTACKS)]
    columns = (TextColumn("{task.description:20}"), BarColumn(), TimeRemainingColumn())
    missed = False
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        quiet = Measured()
        for name in names:
            attack = ATTACKS.get(name)
            length = Length(options.seconds, options.recovery, options.scale)
            if attack is None:
                length = Length(min(options.seconds, 15.0), 0.0)
            advance = partial(progress.advance, progress.add_task(name, total=length.total))
            measured = trio.run(measure, attack, length, advance)
            console.print(f"\n{name}: {attack.description if attack else 'people at work'}")
            if attack is None:
                quiet = measured
                _show(measured, console)
                continue
            _show(measured, console, quiet)
            targets = measured.targets()
            for target, met in targets.items():
                console.print(f"  {'met   ' if met else 'MISSED'}  {target}", markup=False)
            missed |= not all(targets.values())
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.attack",
        description="Attacks a server of its own on the loopback interface, with default "
        "settings, while honest people edit. Takes no other target.",
        epilog="Attacks: "
        + "; ".join(f"{attack.name}: {attack.description}" for attack in ATTACKS.values()),
    )
    parser.add_argument("--only", nargs="+", choices=list(ATTACKS), metavar="NAME")
    parser.add_argument("--seconds", type=_seconds, default=30.0, help="of each attack")
    parser.add_argument(
        "--recovery", type=_seconds, default=10.0, help="seconds that people go on behind it"
    )
    parser.add_argument("--scale", type=_scale, default=1.0, help="of the attacks, 0 to 1")
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 600:
        raise argparse.ArgumentTypeError("1 to 600")
    return value


def _scale(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError("above 0, at most 1")
    return value


def _show(measured: Measured, console: Console, quiet: Measured | None = None) -> None:
    began, ended = measured.began, measured.ended
    for what in ("acks", "deliveries", "newcomers"):
        took = getattr(measured, what).within(began, ended)
        line = f"  {what:10} {_figures(took)}"
        if quiet is not None:
            before = getattr(quiet, what).within(quiet.began, quiet.ended)
            line += f"   (without: {_figures(before)})"
        console.print(line)
    seconds = (ended - began) or math.nan
    refused = len(measured.refused)
    console.print(
        f"  newcomers not served {refused}   editors lost {measured.losses} times   "
        f"lost edits {len(measured.unsaved)}   server {'alive' if measured.alive else 'DEAD'}"
    )
    console.print(
        f"  memory {measured.memory / 2**20:.0f} MB   CPU of the server "
        f"{measured.server_cpu / seconds:.0%}, of the attacker "
        f"{measured.attacker_cpu / seconds:.0%}, of the honest {measured.own_cpu / seconds:.0%}   "
        f"log {measured.log_lines:,} lines"
    )
    if quiet is None:
        return
    down, up = measured.outage
    if up:
        console.print(f"  database down for {up - down:.1f} s; its edits are not in the targets")
    back = measured.back_to_normal()
    back_text = f"{back:.1f} s" if math.isfinite(back) else "not within the time observed"
    console.print(f"  back to normal {back_text}")
    for who, counts in (("attacker", measured.attack), ("honest", measured.reasons)):
        for name, number in counts.most_common(6):
            console.print(f"  the {who} saw {number:6,} x {name}", markup=False)


def _figures(took: Sequence[float]) -> str:
    if not took:
        return "none"
    return (
        f"p50 {percentile(took, 0.5) * 1e3:.1f}  p99 {percentile(took, 0.99) * 1e3:.1f}  "
        f"max {max(took) * 1e3:.1f} ms  n {len(took)}"
    )


if __name__ == "__main__":
    sys.exit(main())
