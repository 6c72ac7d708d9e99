"""Feed the targets with cases, and keep what they find.

``python -m scripts.fuzz packet-text session --cases 100000 --seed 1``
"""

from __future__ import annotations

import random
import resource
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scripts.fuzz.target import NAMES, Target, load

console = Console(stderr=True)
_CORPUS = 512  # cases that later ones are varied from


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one target's cases."""

    name: str
    cases: int
    findings: int
    seconds: float
    growth: int
    """KiB by which the largest resident size has grown."""


def cases(target: Target, count: int, seed: int) -> Iterator[bytes]:
    """Yield so many cases: fresh ones, and variations of earlier ones.

    The first are empty, or one byte: the plainest, for which every decision is its first.
    """
    chance = random.Random(f"{target.name} {seed}")
    corpus: list[bytes] = [b"", *(bytes((byte,)) for byte in range(256))]
    yield from corpus[:count]
    for _ in range(count - len(corpus)):
        if chance.random() < 0.5:
            case = chance.randbytes(
                chance.randint(0, min(target.max_size, chance.choice((16, 1_000))))
            )
        else:
            case = _varied(chance, chance.choice(corpus), chance.choice(corpus), target.max_size)
        if len(corpus) < _CORPUS:
            corpus.append(case)
        else:
            corpus[chance.randrange(_CORPUS)] = case
        yield case


def _varied(chance: random.Random, case: bytes, other: bytes, limit: int) -> bytes:
    data = bytearray(case)
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(data))
        kind = chance.randrange(4)
        if kind == 0:
            data[at:at] = chance.randbytes(chance.randint(1, 8))
        elif kind == 1:
            del data[at : at + chance.randint(1, 8)]
        elif kind == 2 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        else:
            data[at:] = other[chance.randint(0, len(other)) :]
    return bytes(data[:limit])


def run(target: Target, count: int, seed: int, folder: Path, progress: Progress) -> Outcome:
    """Run so many cases of a target; write those that find something to files."""
    task = progress.add_task(target.name, total=count)
    began, before, findings = time.monotonic(), _largest(), 0
    done = 0
    for done, case in enumerate(cases(target, count, seed), 1):
        try:
            target.check(case)
        except Exception:  # noqa: BLE001  (whatever a case raises is what is looked for)
            findings += 1
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"{target.name}-{seed}-{done}"
            file.write_bytes(case)
            progress.console.print(f"{target.name}: found {file}", style="red")
            progress.console.print(traceback.format_exc(limit=-4), highlight=False, markup=False)
        if done % 64 == 0:
            progress.update(task, completed=done)
    progress.update(task, completed=count)
    seconds = time.monotonic() - began
    return Outcome(target.name, done, findings, seconds, _largest() - before)


def _largest() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(
    targets: Annotated[
        list[str] | None, typer.Argument(help=f"Of these: {', '.join(NAMES)}.", show_default="all")
    ] = None,
    cases: Annotated[int, typer.Option(min=1, help="Cases of each target.")] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed, the same cases.")] = 1,
    again: Annotated[
        Path | None, typer.Option(help="Run one case from its file, with the whole traceback.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where findings go.")] = Path("build/fuzz"),
) -> None:
    """Run every target, or those that are named; exit code 1 if anything was found."""
    try:
        chosen = [load(name) for name in targets or NAMES]
    except KeyError as error:
        raise typer.BadParameter(f"there is no target {error}") from None
    if again is not None:
        for target in chosen:
            target.check(again.read_bytes())
        return
    columns = (
        TextColumn("{task.description:16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        outcomes = [run(target, cases, seed, folder, progress) for target in chosen]
    for it in outcomes:
        sys.stdout.write(
            f"{it.name:16} {it.cases:>9,} cases {it.findings:>3} findings "
            f"{it.seconds:>7.1f} s {it.cases / max(it.seconds, 1e-9):>9,.0f}/s "
            f"{it.growth:>7,} KiB more\n"
        )
    total = sum(it.cases for it in outcomes)
    findings = sum(it.findings for it in outcomes)
    sys.stdout.write(f"{total:,} cases, {findings} findings\n")
    if findings:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
