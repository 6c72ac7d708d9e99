"""The demo's signing secret: created once, and kept in a file next to the embedded database."""

from __future__ import annotations

import contextlib
import os
import secrets
from ipaddress import ip_address
from pathlib import Path

import structlog
from pydantic import SecretStr

from gbs_actor.settings import MAKE_SECRET, MINIMUM_SECRET, Settings, SettingsError
from gbs_actor.store.embedded.data_folder import DataFolder

log = structlog.get_logger(__name__)

SECRET_FILE = "jwt-secret"  # noqa: S105  (its name)


def demo_secret(data_dir: Path) -> str:
    """Return the demo's secret, created at the first call and kept in ``data_dir`` (0600).

    Tokens therefore stay valid after a restart. Concurrent first calls return the same one.

    :raises SettingsError: the folder cannot be written, or the file is not ours alone.
    :raises UnsuitableFolder: another user owns the folder, or others may write to it.
    """
    path = data_dir / SECRET_FILE
    try:
        if not path.exists():
            # The embedded database is there, too: one rule for the folder's permissions.
            DataFolder(data_dir.absolute()).create()
            _create(path, secrets.token_urlsafe(48))
        secret = path.read_text(encoding="ascii").strip()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The demo's secret {path} cannot be kept: {error}; set GBS_DATA_DIR to a folder "
            "that can be written, or GBS_JWT_SECRET."
        ) from None
    if mode & 0o077:
        raise SettingsError(f"{path} can be read by others; run: chmod 600 {path}")
    if len(secret.encode()) < MINIMUM_SECRET:
        raise SettingsError(f"{path} is damaged; delete it, and a new secret will be made.")
    return secret


def has_demo_secret(settings: Settings) -> bool:
    """Return whether tokens are verified with the demo's own secret: real ones are not then.

    :raises SettingsError: see :func:`demo_secret`.
    :raises UnsuitableFolder: see :func:`demo_secret`.
    """
    secret, data_dir = settings.auth.jwt_secret, settings.store.data_dir
    return (
        secret is not None
        and (data_dir / SECRET_FILE).exists()
        and secret.get_secret_value() == demo_secret(data_dir)
    )


def _create(path: Path, secret: str) -> None:
    """Create the whole file atomically, or keep the one that another process has created."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secret + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def with_keys(settings: Settings, *, demo: bool) -> Settings:
    """Return settings that have a key to verify tokens with.

    In the demo a secret is created if none is set, and a warning is logged for what does not
    belong into a demo. Otherwise a missing key is an error, and so is a secret that can be guessed.
    One of several servers makes no secret up.

    :raises SettingsError: this is no demo, and no key is set or a secret can be guessed; or the
        demo's secret cannot be kept; or it would be of one server of several only.
    """
    settings.refuse_node_without_secrets()
    if demo:
        _warn(settings)
    else:
        settings.refuse_guessable_secrets()
    if settings.auth.has_key:
        return settings
    if not demo:
        raise SettingsError(
            "There is nothing to verify tokens with: set GBS_JWT_SECRET (a random text of at least "
            f"{MINIMUM_SECRET} bytes, by: {MAKE_SECRET}), GBS_JWT_PUBLIC_KEY_FILE or "
            "GBS_JWKS_FILE, or try the server with --demo."
        )
    secret = SecretStr(demo_secret(settings.store.data_dir))
    auth = settings.auth.model_copy(update={"jwt_secret": secret})
    return settings.model_copy(update={"auth": auth})


def _warn(settings: Settings) -> None:
    host = settings.server.host
    if not _is_loopback(host):
        log.warning("The demo, whose tokens are printed, is open to other machines", host=host)
    if settings.auth.jwt_secret is not None:
        log.warning(
            "The demo prints tokens signed with your own jwt_secret, valid for 30 days; its page "
            "offers no sign-in by a click then"
        )
    elif not settings.auth.has_key and settings.store.database_url is not None:
        log.warning(
            "The demo's page lets everybody who reaches it edit the retreats of your own database"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
