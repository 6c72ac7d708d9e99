"""Checks of settings, keys and certificate."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from gbs_actor.auth import KeyRing
from gbs_actor.demo.secret import SECRET_FILE, with_keys
from gbs_actor.server.certificate import Certificate
from gbs_actor.server.checks.finding import Finding, error, ok, warning
from gbs_actor.server.listening import is_loopback
from gbs_actor.settings import (
    MAKE_SECRET,
    SECRETS,
    ServerSettings,
    Settings,
    SettingsError,
    unknown_variables,
)

EXPIRES_SOON: Final = timedelta(days=14)
"""Certificates that renew themselves do so a month ahead."""


def check_settings(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check valid settings for what is set in vain, or readable by others."""
    effective = [each for each in settings.effective() if each.source != "default"]
    file = settings.file
    where = "no settings file" if file is None else str(file)
    yield ok("settings", f"{where}; {_count(len(effective), 'value')} set")
    for name in unknown_variables(environment):
        yield warning("settings", f"the variable {name} sets nothing", "correct or remove it")
    secrets = [each.name for each in effective if each.source == "file" and each.name in SECRETS]
    if file is not None and secrets and _may_others(file, stat.S_IROTH):
        yield warning(
            "settings",
            f"all users can read {', '.join(secrets)} in {file}",
            f"run: chmod o-r {file}",
        )


def check_keys(settings: Settings) -> Iterator[Finding]:
    """Check what verifies tokens, and what signs recovery ids."""
    auth = settings.auth
    if not auth.has_key and os.path.exists(settings.store.data_dir / SECRET_FILE):
        yield warning(
            "keys",
            "there is the demo's secret only, with which nothing but serve --demo starts",
            f"for another server set GBS_JWT_SECRET, by: {MAKE_SECRET}",
        )
        return
    try:
        with_keys(settings, demo=False)
        keys = KeyRing.from_settings(auth).keys()
    except SettingsError as refused:
        yield error("keys", str(refused).removesuffix("."))
        return
    counts = Counter(key.algorithm for key in keys if key.algorithm in auth.jwt_algorithms)
    described = ", ".join(f"{name} ({_count(count, 'key')})" for name, count in counts.items())
    yield ok("keys", f"tokens are verified by {described}")
    for path in (auth.jwt_public_key_file, auth.jwks_file):
        if path is not None and _may_others(path, stat.S_IWOTH):
            yield warning(
                "keys",
                f"all users can write to {path}, and so make tokens of their own",
                f"run: chmod o-w {path}",
            )
    if auth.jwt_secret is None and settings.recovery.recovery_secret is None:
        yield warning(
            "keys",
            "no session is recovered after a restart of the server",
            f"set GBS_RECOVERY_SECRET, by: {MAKE_SECRET}",
        )


def check_certificate(settings: Settings) -> Iterator[Finding]:
    """Check the certificate, or whether the server needs one."""
    server = settings.server
    try:
        certificate = Certificate.from_settings(server)
        if certificate is not None:
            yield from _check_validity(server)
            return
    except SettingsError as refused:
        yield error("certificate", str(refused).removesuffix("."))
        return
    if is_loopback(server.host) or settings.http.trusted_proxies:
        yield ok(
            "certificate", "the server speaks no TLS, and is reached through a proxy, if at all"
        )
    else:
        yield warning(
            "certificate",
            f"the server speaks no TLS on {server.host}: tokens pass through the network in clear",
            "set GBS_TLS_CERTIFICATE and GBS_TLS_KEY, or put a proxy with TLS in front "
            "(GBS_TRUSTED_PROXIES)",
        )


def _check_validity(server: ServerSettings) -> Iterator[Finding]:
    """Check the times of a certificate and its chain, which can be loaded."""
    assert server.tls_certificate is not None
    assert server.tls_key is not None
    try:
        chain = x509.load_pem_x509_certificates(server.tls_certificate.read_bytes())
    except ValueError as odd:  # stricter than OpenSSL, which has loaded it
        text = f"it can be used, but its validity cannot be read: {odd}"
        yield warning("certificate", text, f"run: openssl x509 -dates -in {server.tls_certificate}")
        return
    begin = max(each.not_valid_before_utc for each in chain)
    end = min(each.not_valid_after_utc for each in chain)
    now = datetime.now(UTC)
    renewal = "renew it; then SIGHUP, or systemctl reload, makes a running server read it"
    if end <= now:
        yield error("certificate", f"it has expired on {end:%Y-%m-%d}", renewal)
    elif begin > now:
        yield error(
            "certificate",
            f"it is not valid before {begin:%Y-%m-%d %H:%M} UTC",
            "check the clock of this machine",
        )
    elif end - now < EXPIRES_SOON:
        left = _count((end - now).days, "day")
        yield warning("certificate", f"it expires on {end:%Y-%m-%d}, in {left}", renewal)
    else:
        yield ok("certificate", f"it is valid until {end:%Y-%m-%d}")
    if _may_others(server.tls_key, stat.S_IROTH):
        yield warning(
            "certificate",
            f"all users can read its private key {server.tls_key}",
            f"run: chmod o-r {server.tls_key}",
        )


def _may_others(path: Path, mode: int) -> bool:
    """Return whether users besides owner and group have this right."""
    try:
        return bool(path.stat().st_mode & mode)
    except OSError:
        return False


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"
