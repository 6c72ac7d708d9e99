"""All settings together, and how they are put together from file and environment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, PrivateAttr, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gbs_actor.settings.groups import (
    AuthSettings,
    HttpSettings,
    LimitSettings,
    LoggingSettings,
    RecoverySettings,
    RoomSettings,
    ServerSettings,
    SocketSettings,
    StoreSettings,
)
from gbs_actor.settings.origins import (
    PREFIX,
    MappingSource,
    SettingsError,
    group_fields,
    read_environment,
    read_file,
    variable,
)

DEFAULT_FILE = Path("config/gbs_actor.toml")
"""Read if it is there, relative to the working directory."""

CONFIG_VARIABLE = "GBS_CONFIG"
OTHER_VARIABLES = frozenset({CONFIG_VARIABLE, "GBS_TOKEN", "GBS_URL", "GBS_PYTHON"})
"""Variables with our prefix that are no settings but read by commands and scripts."""

OriginKind = Literal["default", "file", "environment", "command line"]


@dataclass(frozen=True, slots=True)
class SettingOrigin:
    """One setting, its value, and where that came from."""

    group: str
    name: str
    value: str
    """As it would stand in a TOML file; secrets are masked."""
    origin: OriginKind
    variable: str
    """The environment variable that sets it."""
    description: str


@dataclass(frozen=True, slots=True)
class Layers:
    """What was read from each place, weakest last."""

    overrides: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    file: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    """Where ``file`` was read."""

    def origin(self, group: str, name: str) -> OriginKind:
        """Return which layer decides a setting."""
        layers: tuple[tuple[OriginKind, Mapping[str, Any]], ...] = (
            ("command line", self.overrides),
            ("environment", self.environment),
            ("file", self.file),
        )
        for kind, layer in layers:
            values = layer.get(group)
            if isinstance(values, Mapping) and name in values:
                return kind
        return "default"


_layers: ContextVar[Layers | None] = ContextVar("_layers", default=None)


class Settings(BaseSettings):
    """Everything that can be set, one group per part of the server; immutable.

    ``Settings()`` has the defaults whatever the environment says, which is what tests
    want; :meth:`load` reads environment and file.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    server: ServerSettings = Field(default_factory=ServerSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    socketio: SocketSettings = Field(default_factory=SocketSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    rooms: RoomSettings = Field(default_factory=RoomSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    auth: AuthSettings = Field(default_factory=AuthSettings)
    recovery: RecoverySettings = Field(default_factory=RecoverySettings)
    logging: LoggingSettings = Field(default_factory=LoggingSettings)

    _layers: Layers = PrivateAttr(default_factory=Layers)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take arguments only, and within :meth:`load` what that has read."""
        layers = _layers.get()
        if layers is None:
            return (init_settings,)
        return tuple(
            MappingSource(settings_cls, content)
            for content in (layers.overrides, layers.environment, layers.file)
        )

    @classmethod
    def load(
        cls,
        file: Path | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Self:
        """Read the settings; the command line goes before environment, file, default.

        :param file: a TOML file that must be there. Default: what ``GBS_CONFIG`` names, or
            else ``config/gbs_actor.toml`` in the working directory if there is one.
        :param environment: default: the process's.
        :param overrides: from the command line, by group and name.
        :raises SettingsError: the file cannot be read, or a setting is unknown or wrong.
        """
        environment = os.environ if environment is None else environment
        path = file or (Path(named) if (named := environment.get(CONFIG_VARIABLE)) else None)
        if path is None and DEFAULT_FILE.is_file():
            path = DEFAULT_FILE
        layers = Layers(
            overrides or {},
            read_environment(cls, environment),
            read_file(path) if path else {},
            path,
        )
        token = _layers.set(layers)
        try:
            settings = cls()
        except ValidationError as error:
            raise SettingsError(
                "\n".join(_sentence(details, layers) for details in error.errors())
            ) from None
        finally:
            _layers.reset(token)
        settings._layers = layers
        return settings

    def sources(self) -> Iterator[SettingOrigin]:
        """Yield each setting, its value with secrets masked, and where it came from."""
        for group, name, info in group_fields(type(self)):
            yield SettingOrigin(
                group,
                name,
                shown(getattr(getattr(self, group), name)),
                self._layers.origin(group, name),
                variable(name),
                info.description or "",
            )


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the ``GBS_`` variables that set nothing, most likely misspelt."""
    known = {variable(name) for _, name, _ in group_fields(Settings)} | OTHER_VARIABLES
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)


def shown(value: object) -> str:
    """Return a value as it would stand in a TOML file; of a secret only what is none."""
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return json.dumps(_masked(value.get_secret_value()))
    if isinstance(value, tuple):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    if isinstance(value, (bool, int, float, str)):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(str(value), ensure_ascii=False)


def _masked(secret: str) -> str:
    """Keep host and name of a database URL: whoever looks wants to know which one it is."""
    parts = urlsplit(secret)
    if not parts.scheme or not parts.netloc:
        return "**********"
    credentials, at, host = parts.netloc.rpartition("@")
    user = credentials.partition(":")[0]
    return urlunsplit((parts.scheme, (f"{user}:***{at}" if at else "") + host, parts.path, "", ""))


def _sentence(details: ErrorDetails, layers: Layers) -> str:
    """Say where the wrong setting stands and what is wrong with it.

    The value itself is left out where it could be a secret.
    """
    group, name = ([str(part) for part in details["loc"]] + ["", ""])[:2]
    kind = details["type"]
    if kind == "extra_forbidden":
        known = (
            [field for where, field, _ in group_fields(Settings) if where == group]
            if name
            else list(Settings.model_fields)
        )
        matches = get_close_matches(name or group, known, n=1)
        hint = f"; did you mean {matches[0]}?" if matches else "."
        place = f"{name} in [{group}]" if name else f"[{group}]"
        return f"{layers.path or 'The command line'}: there is no setting {place}{hint}"
    if not name:
        places = {str(layers.path or ""): layers.file.get(group)}
        where = next((place for place, content in places.items() if content is not None), "")
        problem = details["msg"].removeprefix("Value error, ")
        return f"{where}{': ' if where else ''}[{group}]: {problem}."
    origin = layers.origin(group, name)
    where = {
        "environment": variable(name),
        "file": f"{layers.path}, [{group}] {name}",
        "command line": f"--{name.replace('_', '-')}",
        "default": f"The default of [{group}] {name}",
    }[origin]
    problem = details["msg"].removeprefix("Value error, ")
    problem = problem[:1].lower() + problem[1:]
    got = "" if _may_be_secret(name) else f", and is {details['input']!r}"
    return f"{where}: {problem}{got}."


def _may_be_secret(name: str) -> bool:
    return name in {"jwt_secret", "recovery_secret", "database_url", "tls_key_password"}
