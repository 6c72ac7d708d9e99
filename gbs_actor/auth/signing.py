"""Makes tokens: for the command line, the demo and tests."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Collection
from pathlib import Path

import jwt
from pydantic import SecretStr

from gbs_actor.roles import Role
from gbs_actor.settings import MINIMUM_SECRET, Settings, SettingsError
from gbs_actor.store.embedded.data_folder import DataFolder

SECRET_FILE = "jwt-secret"  # noqa: S105  (its name)


def mint(
    secret: str | bytes,
    *,
    user_id: int,
    role: Role,
    name: str = "",
    email: str = "",
    admin_user_id: int | None = None,
    retreats: Collection[str] | None = None,
    expires_in: float | None = 8 * 3600,
    issuer: str | None = None,
    audience: str | None = None,
    now: float | None = None,
) -> str:
    """Return an HS256 token.

    :param secret: at least 32 bytes.
    :param retreats: slugs the user may enter; ``None``: all.
    :param expires_in: seconds; ``None``: never.
    :param now: Unix time in seconds; default: the current one.
    """
    issued_at = int(time.time() if now is None else now)
    claims: dict[str, object] = {"userId": user_id, "role": role.value, "iat": issued_at}
    optional = {
        "name": name or None,
        "email": email or None,
        "adminUserId": admin_user_id,
        "retreats": None if retreats is None else sorted(retreats),
        "exp": None if expires_in is None else issued_at + int(expires_in),
        "iss": issuer,
        "aud": audience,
    }
    claims |= {claim: value for claim, value in optional.items() if value is not None}
    return jwt.encode(claims, secret, algorithm="HS256")


def demo_secret(data_dir: Path) -> str:
    """Return the demo's secret; the first call makes it and stores it in ``data_dir`` (0600).

    So tokens survive a restart. Two first calls at the same time return the same secret.

    :raises SettingsError: the folder cannot be written, or others can read the file.
    :raises UnsuitableFolder: the folder is somebody else's, or open to others.
    """
    path = data_dir / SECRET_FILE
    try:
        if not path.exists():
            # The embedded database, in the same folder, is strict about permissions.
            DataFolder(data_dir.absolute()).create()
            _create(path, secrets.token_urlsafe(48))
        secret = path.read_text(encoding="ascii").strip()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The demo's secret {path} cannot be stored: {error}; set GBS_DATA_DIR to a folder "
            "that can be written, or GBS_JWT_SECRET."
        ) from None
    if mode & 0o077:
        raise SettingsError(f"{path} can be read by others; run: chmod 600 {path}")
    if len(secret.encode()) < MINIMUM_SECRET:
        raise SettingsError(f"{path} is damaged; delete it, and a new secret will be made.")
    return secret


def _create(path: Path, secret: str) -> None:
    """Create the whole file at once; if another process was first, leave its file."""
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
    """Return settings with a key to verify tokens with.

    The demo makes a secret where no key is set; otherwise that is an error.

    :raises SettingsError: no key is set and this is no demo, or the secret cannot be stored.
    """
    if settings.auth.has_key:
        return settings
    if not demo:
        raise SettingsError(
            "There is no key to verify tokens with: set GBS_JWT_SECRET (at least "
            f"{MINIMUM_SECRET} bytes), GBS_JWT_PUBLIC_KEY_FILE or GBS_JWKS_FILE, or try the "
            "server with --demo."
        )
    secret = SecretStr(demo_secret(settings.store.data_dir))
    auth = settings.auth.model_copy(update={"jwt_secret": secret})
    return settings.model_copy(update={"auth": auth})
