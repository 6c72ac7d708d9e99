"""Keeps secrets out of the log: tokens, cookies, passwords in database URLs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"

SECRET_NAMES = frozenset(
    {
        "authorization",
        "cookie",
        "set-cookie",
        "token",
        "access_token",
        "accesstoken",
        "jwt_secret",
        "recovery_secret",
        "admin_token",
        "metrics_token",
        "tls_key_password",
        "secret",
        "password",
        "pgpassword",
    }
)
"""Keys whose value is never logged."""

_PATTERNS = (
    # A compact JWS: its header is always the base64 of '{"'.
    (re.compile(r"\beyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), MASK),
    (re.compile(r"(?i)\b(bearer)[ .]+[^\s\"',;]+"), rf"\1 {MASK}"),
    (
        re.compile(r"(?i)\b((?:postgres(?:ql)?|rediss?|valkeys?|unix)://[^\s:/@]*):[^\s@]*@"),
        rf"\1:{MASK}@",
    ),
    (
        re.compile(
            r"(?i)\b(password|accessToken|GBS_(?:JWT|RECOVERY)_SECRET"
            r"|(?:GBS_)?(?:TLS_KEY_PASSWORD|ADMIN_TOKEN|METRICS_TOKEN))(=|'?\"?: ?)[^\s&;,}]+"
        ),
        rf"\1\2{MASK}",
    ),
)


def mask(text: str) -> str:
    """Return the text without the secrets in it."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def masked(value: Any, name: str = "") -> Any:
    """Return a log value without secrets, nested values included.

    Numbers are unchanged; another object is replaced by its text only if that contains a secret.
    """
    if name.lower() in SECRET_NAMES:
        return MASK if value else value
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {key: masked(item, str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, bytes):
        return mask(value.decode("utf-8", "backslashreplace"))
    text = str(value)
    clean = mask(text)
    return value if clean == text else clean
