"""All settings together: read from their sources, and passed to the parts of the server."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, PrivateAttr, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from gbs_actor.settings.errors import settings_error, where_set
from gbs_actor.settings.groups import (
    AdminSettings,
    AuthSettings,
    BusSettings,
    Group,
    HttpSettings,
    ImportSettings,
    LimitSettings,
    LoggingSettings,
    PageSettings,
    RecoverySettings,
    RoomSettings,
    ServerSettings,
    SocketSettings,
    StoreSettings,
)
from gbs_actor.settings.guessable import MAKE_SECRET, is_guessable
from gbs_actor.settings.sources import (
    PREFIX,
    SettingsError,
    SourceName,
    Sources,
    Tables,
    read_environment,
    read_file,
    variable,
)

DEFAULT_FILE = Path("config/gbs_actor.toml")
"""Read if it exists, relative to the working directory."""

CONFIG_VARIABLE = "GBS_CONFIG"
COMMAND_VARIABLES = frozenset({CONFIG_VARIABLE, "GBS_TOKEN", "GBS_URL", "GBS_PYTHON"})
"""Variables with the prefix that are no settings: commands and scripts read them."""

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """One setting, its value, and the value's source."""

    group: str
    name: str
    value: str
    """As in a TOML file; secrets are masked."""
    source: SourceName
    variable: str
    """The environment variable that sets it."""


class Settings(Group):
    """All settings, one group per part of the server; immutable.

    ``Settings()`` has the defaults and ignores the environment, for tests; :meth:`load` reads
    environment and file.
    """

    server: ServerSettings = Field(default_factory=ServerSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    page: PageSettings = Field(default_factory=PageSettings)
    imports: ImportSettings = Field(default_factory=ImportSettings)
    socketio: SocketSettings = Field(default_factory=SocketSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    rooms: RoomSettings = Field(default_factory=RoomSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    bus: BusSettings = Field(default_factory=BusSettings)
    auth: AuthSettings = Field(default_factory=AuthSettings)
    admin: AdminSettings = Field(default_factory=AdminSettings)
    recovery: RecoverySettings = Field(default_factory=RecoverySettings)
    logging: LoggingSettings = Field(default_factory=LoggingSettings)

    _sources: Sources = PrivateAttr(default_factory=Sources)

    @classmethod
    def load(
        cls,
        file: Path | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        overrides: Tables | None = None,
    ) -> Self:
        """Read the settings; the command line overrides the environment, which overrides the file.

        :param file: a TOML file that must exist. Default: ``GBS_CONFIG``, or else
            ``config/gbs_actor.toml`` in the working directory if it exists.
        :param environment: default: the process's.
        :param overrides: from the command line, by group and name.
        :raises SettingsError: the file cannot be read, or a setting is unknown or wrong.
        """
        environment = os.environ if environment is None else environment
        path = file or (Path(named) if (named := environment.get(CONFIG_VARIABLE)) else None)
        if path is None and DEFAULT_FILE.is_file():
            path = DEFAULT_FILE
        sources = Sources(
            command_line=overrides or {},
            environment=read_environment(declarations(), environment),
            file=read_file(path) if path else {},
            path=path,
        )
        try:
            settings = cls.model_validate(sources.merged())
        except ValidationError as error:
            names: dict[str, list[str]] = {group: [] for group in cls.model_fields}
            for group, name, _ in declarations():
                names[group].append(name)
            raise settings_error(error, sources, names) from None
        settings._sources = sources
        return settings

    @property
    def file(self) -> Path | None:
        """The TOML file that was read; ``None``: there is none."""
        return self._sources.path

    def refuse_guessable_secrets(self) -> None:
        """Refuse secrets of common words or repetition: who guesses one signs tokens with it.

        :raises SettingsError: one of them can be guessed.
        """
        secrets = {
            ("auth", "jwt_secret"): self.auth.jwt_secret,
            ("recovery", "recovery_secret"): self.recovery.recovery_secret,
            ("admin", "admin_token"): self.admin.admin_token,
            ("admin", "metrics_token"): self.admin.metrics_token,
        }
        for (group, name), secret in secrets.items():
            if secret is not None and is_guessable(secret.get_secret_value()):
                raise SettingsError(
                    f"{where_set(group, name, self._sources)}: can be guessed; make a random "
                    f"secret by: {MAKE_SECRET}"
                )

    def refuse_node_without_secrets(self) -> None:
        """Refuse to be one of several servers with a database or secret that only this one has.

        :raises SettingsError: neither ``recovery_secret`` nor ``jwt_secret`` is set, or no
            database.
        """
        if self.store.node is None:
            return
        where = where_set("store", "node", self._sources)
        if self.store.database_url is None:
            raise SettingsError(f"{where}: several servers need one database: set GBS_DATABASE_URL")
        if self.recovery.recovery_secret is None and self.auth.jwt_secret is None:
            raise SettingsError(
                f"{where}: several servers need the same secret, and none is set: set "
                f"GBS_RECOVERY_SECRET or GBS_JWT_SECRET on all of them, by: {MAKE_SECRET}"
            )

    def build(self, part: Callable[..., Part], *arguments: object, **options: object) -> Part:
        """Build a part, passing every setting that it has a parameter for.

        A parameter and its setting have the same name.

        :param options: arguments that are no settings, or override them.
        """
        for group, name in _settings_of(part):
            if name not in options:
                options[name] = getattr(getattr(self, group), name)
        return part(*arguments, **options)

    def with_groups_of(self, later: Settings, groups: Collection[str]) -> Settings:
        """Return these settings, but some groups, and their sources, as in ``later``."""
        mixed = self.model_copy(update={group: getattr(later, group) for group in groups})
        mixed._sources = self._sources.with_groups_of(later._sources, groups)
        return mixed

    def effective(self) -> Iterator[EffectiveSetting]:
        """Yield each setting, its value with secrets masked, and its source."""
        for group, name, _ in declarations():
            yield EffectiveSetting(
                group,
                name,
                toml_value(getattr(getattr(self, group), name)),
                self._sources.source_of(group, name),
                variable(name),
            )


@lru_cache(maxsize=64)  # a server has fewer parts, and is made anew for each test
def _settings_of(part: Callable[..., object]) -> tuple[tuple[str, str], ...]:
    """Return group and name of every setting that a part has a parameter for."""
    parameters = inspect.signature(part).parameters
    return tuple((group, name) for group, name, _ in declarations() if name in parameters)


def declarations() -> Iterator[tuple[str, str, FieldInfo]]:
    """Yield group, name and declaration of every setting, in the order of definition."""
    for group, group_info in Settings.model_fields.items():
        model = group_info.annotation
        assert isinstance(model, type)
        assert issubclass(model, Group)
        for name, info in model.model_fields.items():
            yield group, name, info


def changed(former: Settings, later: Settings) -> Iterator[tuple[str, str]]:
    """Yield group and name of each setting that has another value."""
    for group, name, _ in declarations():
        if getattr(getattr(former, group), name) != getattr(getattr(later, group), name):
            yield group, name


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the ``GBS_`` variables that are no settings, most likely misspelt."""
    known = {variable(name) for _, name, _ in declarations()} | COMMAND_VARIABLES
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)


def toml_value(value: object) -> str:
    """Return a value as in a TOML file; ``""``: not set. Masks secrets."""
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return json.dumps(_masked(value.get_secret_value()))
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, (bool, int, float, str)):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(str(value), ensure_ascii=False)


def _masked(secret: str) -> str:
    """Mask a secret; of a database URL only the password, so that it can be recognised."""
    parts = urlsplit(secret)
    if not parts.scheme or not parts.netloc:
        return "**********"
    credentials, at, host = parts.netloc.rpartition("@")
    user = credentials.partition(":")[0]
    return urlunsplit((parts.scheme, (f"{user}:***{at}" if at else "") + host, parts.path, "", ""))
