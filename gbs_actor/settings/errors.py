"""Errors of settings, as sentences for the operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gbs_actor.settings.sources import SettingsError, Sources, variable

SECRETS = frozenset(
    {
        "jwt_secret",
        "recovery_secret",
        "database_url",
        "bus_url",
        "tls_key_password",
        "admin_token",
        "metrics_token",
    }
)
"""Settings whose values appear in no message."""


def settings_error(
    error: ValidationError, sources: Sources, known: Mapping[str, Sequence[str]]
) -> SettingsError:
    """Return the error to raise: one sentence a line, each with the source of the value.

    :param known: names of the settings, by group.
    """
    return SettingsError(
        "\n".join(_sentence(details, sources, known) for details in error.errors())
    )


def _sentence(details: ErrorDetails, sources: Sources, known: Mapping[str, Sequence[str]]) -> str:
    group, name = ([str(part) for part in details["loc"]] + ["", ""])[:2]
    if details["type"] == "extra_forbidden":
        return _unknown(group, name, sources, known)
    problem = details["msg"].removeprefix("Value error, ")
    if not name:
        where = f"{sources.path}: " if sources.file.get(group) is not None else ""
        return f"{where}[{group}]: {problem}."
    value = "" if name in SECRETS else f", and is {details['input']!r}"
    return f"{where_set(group, name, sources)}: {problem[:1].lower()}{problem[1:]}{value}."


def where_set(group: str, name: str, sources: Sources) -> str:
    """Return where an operator finds the value of a setting."""
    return {
        "environment": variable(name),
        "file": f"{sources.path}, [{group}] {name}",
        "command line": f"--{name.replace('_', '-')}",
        "default": f"The default of [{group}] {name}",
    }[sources.source_of(group, name)]


def _unknown(group: str, name: str, sources: Sources, known: Mapping[str, Sequence[str]]) -> str:
    matches = get_close_matches(name or group, known[group] if name else known, n=1)
    hint = f"; did you mean {matches[0]}?" if matches else "."
    setting = f"{name} in [{group}]" if name else f"[{group}]"
    return f"{sources.path or 'The command line'}: there is no setting {setting}{hint}"
