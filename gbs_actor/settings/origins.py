"""Where settings come from: the environment and a TOML file, each as one nested mapping."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

PREFIX = "GBS_"


class SettingsError(Exception):
    """A setting is wrong or missing; the text is meant for the operator, a sentence a line."""


def variable(field: str) -> str:
    """Return the environment variable of a setting: ``GBS_PORT`` for ``port``."""
    return PREFIX + field.upper()


def group_fields(settings: type[BaseSettings]) -> Iterator[tuple[str, str, FieldInfo]]:
    """Yield ``(group, field, info)`` of every setting, in the order of their definition."""
    for group, group_info in settings.model_fields.items():
        model = group_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            for field, info in model.model_fields.items():
                yield group, field, info


def _items(text: str) -> list[Any]:
    """Read a list: JSON if it looks like it, else separated by commas."""
    if text.lstrip().startswith("["):
        items: list[Any] = json.loads(text)
        return items
    return [item for item in (part.strip() for part in text.split(",")) if item]


def read_environment(
    settings: type[BaseSettings], environment: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Return the settings among the environment's variables, as text or lists of text.

    An empty variable counts as not set. Lists are separated by commas, or JSON.

    :raises SettingsError: a list is written as broken JSON.
    """
    found: dict[str, dict[str, Any]] = {}
    for group, field, info in group_fields(settings):
        text = environment.get(variable(field), "")
        if not text:
            continue
        try:
            value = _items(text) if get_origin(info.annotation) is tuple else text
        except ValueError:
            raise SettingsError(
                f"{variable(field)} is neither a JSON list nor a list separated by commas."
            ) from None
        found.setdefault(group, {})[field] = value
    return found


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


class MappingSource(PydanticBaseSettingsSource):
    """A source of settings that has been read already."""

    def __init__(self, settings_cls: type[BaseSettings], content: Mapping[str, Any]) -> None:
        super().__init__(settings_cls)
        self.content = content

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return a group's values; part of the interface of pydantic-settings."""
        return self.content.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return everything this source has."""
        return dict(self.content)
