"""Cases in which something did not hold: found once, made small, kept in a file."""

from __future__ import annotations

import hashlib
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.fuzz.target import NAMES, Target
from scripts.fuzz.watch import watched

_SHRINKING: Final = 400
"""Runs that may be spent on making a case smaller."""
SUFFIX: Final = ".case"


@dataclass(frozen=True, slots=True)
class Finding:
    """A case, and what went wrong with it."""

    target: str
    case: bytes | None
    """``None``: no single case is at fault."""
    what: str
    """One line."""
    details: str
    """The traceback."""

    def save(self, folder: Path) -> Path:
        """Write the case, and beside it what went wrong; return the file."""
        folder.mkdir(parents=True, exist_ok=True)
        case = self.case or b""
        name = f"{self.target}-{hashlib.sha256(case).hexdigest()[:10]}"
        path = folder / (name + SUFFIX)
        path.write_bytes(case)
        path.with_suffix(".txt").write_text(f"{self.what}\n\n{self.details}")
        return path


def run_case(target: Target, case: bytes) -> Finding | None:
    """Run one case; ``None``: all that must hold did."""
    try:
        with watched():
            target.check(case)
    except Exception as error:  # noqa: BLE001  (that is what is looked for)
        return _finding(target, case, error)
    return None


def _finding(target: Target, case: bytes, error: Exception) -> Finding:
    cause: BaseException = error
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    where = traceback.extract_tb(cause.__traceback__)[-1]
    first_line = (str(cause).splitlines() or [""])[0][:200]
    what = f"{type(cause).__name__} in {where.name}: {first_line}"
    return Finding(target.name, case, what, "".join(traceback.format_exception(error)))


def shrunk(target: Target, finding: Finding) -> Finding:
    """Return the same finding with a smaller case, if one is found soon."""
    best = finding
    left = _SHRINKING
    step = len(finding.case or b"")
    while step and left:
        at = 0
        while best.case is not None and at < len(best.case) and left:
            left -= 1
            smaller = best.case[:at] + best.case[at + step :]
            again = run_case(target, smaller)
            if again is not None and _same(again, finding):
                best = again
            else:
                at += step
        step //= 2
    return best


def _same(one: Finding, other: Finding) -> bool:
    return one.what.partition(":")[0] == other.what.partition(":")[0]


def target_of(path: Path) -> str:
    """Return the name of the target that a saved case belongs to.

    :raises ValueError: the file's name does not say.
    """
    for name in sorted(NAMES, key=len, reverse=True):
        if path.name.startswith(f"{name}-"):
            return name
    raise ValueError(f"{path.name} does not begin with the name of a target")
