"""Settings of the server: declarations, sources, validation.

::

    groups     every setting: name, type, default, and the docstring that documents it
    values     the types of settings
    sources    command line, environment and TOML file, as tables by group and name
    guessable  secrets that can be guessed
    settings   Settings: the groups, loaded from the sources and validated
    errors     sentences for the operator about refused values
    example    config/gbs_actor.toml, written from the groups

A part of the server takes a group (``RoomSupervisor(store, settings.rooms)``), or is built by
:meth:`Settings.build`, which passes each setting that it has a parameter for.
"""

from gbs_actor.settings.errors import SECRETS
from gbs_actor.settings.example import example
from gbs_actor.settings.groups import (
    AdminSettings,
    AuthSettings,
    BusSettings,
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
    default_data_dir,
)
from gbs_actor.settings.guessable import MAKE_SECRET
from gbs_actor.settings.settings import (
    EffectiveSetting,
    Settings,
    changed,
    declarations,
    toml_value,
    unknown_variables,
)
from gbs_actor.settings.sources import SettingsError, variable
from gbs_actor.settings.values import MINIMUM_SECRET, Algorithm, LogFormat, LogLevel

__all__ = [
    "MAKE_SECRET",
    "MINIMUM_SECRET",
    "SECRETS",
    "AdminSettings",
    "Algorithm",
    "AuthSettings",
    "BusSettings",
    "EffectiveSetting",
    "HttpSettings",
    "ImportSettings",
    "LimitSettings",
    "LogFormat",
    "LogLevel",
    "LoggingSettings",
    "PageSettings",
    "RecoverySettings",
    "RoomSettings",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "SocketSettings",
    "StoreSettings",
    "changed",
    "declarations",
    "default_data_dir",
    "example",
    "toml_value",
    "unknown_variables",
    "variable",
]
