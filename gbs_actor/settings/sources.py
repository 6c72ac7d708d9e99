"""The sources of settings: command line, environment and a TOML file, in this order."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_origin

from pydantic.fields import FieldInfo

PREFIX = "GBS_"

SourceName = Literal["default", "file", "environment", "command line"]

Tables = Mapping[str, Any]
"""Values by group and name, as in a TOML file."""


class SettingsError(Exception):
    """A setting is wrong or missing; the text is for the operator, one sentence per line."""


def variable(name: str) -> str:
    """Return the environment variable of a setting: ``GBS_PORT`` for ``port``."""
    return PREFIX + name.upper()


@dataclass(frozen=True, slots=True)
class Sources:
    """The values of each source."""

    command_line: Tables = field(default_factory=dict)
    environment: Tables = field(default_factory=dict)
    file: Tables = field(default_factory=dict)
    path: Path | None = None
    """Of ``file``."""

    def merged(self) -> dict[str, Any]:
        """Return all values; the first source that sets one overrides the others.

        A group that is no table is kept, so that the validation refuses it.
        """
        merged: dict[str, Any] = {}
        for tables in (self.command_line, self.environment, self.file):
            for group, values in tables.items():
                if isinstance(values, Mapping):
                    merged[group] = {**values, **merged.get(group, {})}
                else:
                    merged[group] = values
        return merged

    def with_groups_of(self, later: Sources, groups: Collection[str]) -> Sources:
        """Return these values, but those of some groups as in ``later``."""

        def mixed(former: Tables, new: Tables) -> Tables:
            return {
                **{group: values for group, values in former.items() if group not in groups},
                **{group: values for group, values in new.items() if group in groups},
            }

        return replace(
            self,
            command_line=mixed(self.command_line, later.command_line),
            environment=mixed(self.environment, later.environment),
            file=mixed(self.file, later.file),
        )

    def source_of(self, group: str, name: str) -> SourceName:
        """Return the source of a setting's value."""
        sources: tuple[tuple[SourceName, Tables], ...] = (
            ("command line", self.command_line),
            ("environment", self.environment),
            ("file", self.file),
        )
        for source, tables in sources:
            values = tables.get(group)
            if isinstance(values, Mapping) and name in values:
                return source
        return "default"


def read_environment(
    settings: Iterable[tuple[str, str, FieldInfo]], environment: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Return the settings among the environment's variables, as text or lists of text.

    An empty variable counts as not set. Lists are separated by commas, or JSON.

    :param settings: group, name and declaration of every setting.
    :raises SettingsError: a list is malformed JSON.
    """
    tables: dict[str, dict[str, Any]] = {}
    for group, name, info in settings:
        text = environment.get(variable(name), "")
        if not text:
            continue
        try:
            value = _items(text) if get_origin(info.annotation) is tuple else text
        except ValueError:
            raise SettingsError(
                f"{variable(name)} is neither a JSON list nor a list separated by commas."
            ) from None
        tables.setdefault(group, {})[name] = value
    return tables


def _items(text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        items: list[Any] = json.loads(text)
        return items
    return [item for item in (part.strip() for part in text.split(",")) if item]


def read_file(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    :raises SettingsError: it is missing, unreadable, no UTF-8 or no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"The settings file {path} does not exist.") from None
    except OSError as error:
        raise SettingsError(f"The settings file {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {path} is no valid TOML: {error}.") from None
