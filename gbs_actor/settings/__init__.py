"""Settings of the server: what there is, where it comes from, what is wrong with it."""

from gbs_actor.settings.example import example
from gbs_actor.settings.groups import (
    MINIMUM_SECRET,
    Algorithm,
    AuthSettings,
    HttpSettings,
    LimitSettings,
    LoggingSettings,
    RecoverySettings,
    RoomSettings,
    ServerSettings,
    SocketSettings,
    StoreSettings,
    default_data_dir,
)
from gbs_actor.settings.loading import SettingOrigin, Settings, shown, unknown_variables
from gbs_actor.settings.origins import SettingsError, group_fields, variable
from gbs_actor.settings.roles import Role

__all__ = [
    "MINIMUM_SECRET",
    "Algorithm",
    "AuthSettings",
    "HttpSettings",
    "LimitSettings",
    "LoggingSettings",
    "RecoverySettings",
    "Role",
    "RoomSettings",
    "ServerSettings",
    "SettingOrigin",
    "Settings",
    "SettingsError",
    "SocketSettings",
    "StoreSettings",
    "default_data_dir",
    "example",
    "group_fields",
    "shown",
    "unknown_variables",
    "variable",
]
