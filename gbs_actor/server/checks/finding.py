"""What a check has found: one line of the report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How good or bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    """The server starts, but an operator should know."""
    ERROR = "error"
    """The server does not start, or does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact, and what to do about it."""

    check: str
    """What was checked, such as ``keys``."""
    status: Status
    text: str
    """What is the case."""
    advice: str = ""
    """What to do; ``""``: nothing, or the text has it."""


def ok(check: str, text: str) -> Finding:
    """Return a finding about which nothing has to be done."""
    return Finding(check, Status.OK, text)


def warning(check: str, text: str, advice: str) -> Finding:
    """Return a finding with which the server starts."""
    return Finding(check, Status.WARNING, text, advice)


def error(check: str, text: str, advice: str = "") -> Finding:
    """Return a finding with which the server does not start, or does not work."""
    return Finding(check, Status.ERROR, text, advice)
