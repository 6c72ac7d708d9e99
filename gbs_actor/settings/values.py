"""The types of settings: the values they accept, and the sentences that refuse others."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, SecretStr

from gbs_actor.socketio import parse_host

MINIMUM_SECRET = 32
"""The shortest HS256 secret, in bytes (RFC 7518 §3.2: as long as the hash)."""

_YEAR = 86_400 * 365
_BUS_SCHEMES = frozenset({"valkey", "valkeys", "redis", "rediss", "unix"})
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 §2.1
_ASYMMETRIC_KEY = re.compile(
    r"----[- ](BEGIN|END) "  # PEM (RFC 7468)
    r"|^\s*(ssh-|ecdsa-sha2-)"  # OpenSSH
    r'|"kty"'  # JSON Web Key (RFC 7517)
    # The base64 of a key alone: its algorithm, or an RSA modulus of 2,048 or 4,096 bits.
    "|BgkqhkiG9w0BAQ|YHKoZIzj0CAQ|GByqGSM49AgE|KCAQEA|KCAgEA"
)


def _origin(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be like https://page.example.org")
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be scheme, host and port only, without a slash at the end")
    return value.lower()


def _link(value: str) -> str:
    parts = urlsplit(value)
    absolute = parts.scheme in {"http", "https"} and parts.hostname
    if not absolute and not (value.startswith("/") and not value.startswith(("//", "/\\"))):
        raise ValueError("must be like https://page.example.org/login, or a path like /login")
    return value


def _path(value: str) -> str:
    if not value.startswith("/") or not value.endswith("/") or value == "/":
        raise ValueError('must begin and end with "/" and have a name between')
    return value


def _proxy(value: str) -> str:
    try:
        if value != "unix":
            ip_network(value)
    except ValueError:
        raise ValueError('must be an IP address, a network such as 10.0.0.0/8, or "unix"') from None
    return value


def _secret(value: SecretStr) -> SecretStr:
    if _ASYMMETRIC_KEY.search(value.get_secret_value()):
        # A public key as secret would let all who know it sign tokens.
        raise ValueError("must be random text, not a key; public keys go into jwt_public_key_file")
    length = len(value.get_secret_value().encode())
    if length < MINIMUM_SECRET:
        raise ValueError(f"must have at least {MINIMUM_SECRET} bytes, and has {length}")
    return value


def _bearer_token(value: SecretStr) -> SecretStr:
    if not _BEARER.fullmatch(value.get_secret_value()):
        raise ValueError("must have only letters, digits and - . _ ~ + /, with = at the end only")
    return value


def _listen_address(value: str) -> str:
    host = parse_host(value)
    if host is None or host[1] is None:
        raise ValueError("must be host:port, such as 127.0.0.1:9090 or [::1]:9090")
    return value


def _split(value: SecretStr) -> SplitResult:
    """Split a URL with a password, which no error quotes."""
    try:
        return urlsplit(value.get_secret_value())
    except ValueError:
        raise ValueError("is no URL") from None


def _database_url(value: SecretStr) -> SecretStr:
    if _split(value).scheme not in {"postgresql", "postgres"}:
        raise ValueError("must begin with postgresql://")
    return value


def _bus_url(value: SecretStr) -> SecretStr:
    parts = _split(value)
    if parts.scheme not in _BUS_SCHEMES:
        raise ValueError(
            "must begin with valkey://, valkeys:// (TLS), redis://, rediss:// (TLS) or unix://; "
            "without it, PostgreSQL notifies"
        )
    if parts.query or parts.fragment:
        raise ValueError("must have no ? and no #; in a password they are %3F and %23")
    if parts.scheme == "unix":
        if parts.hostname or not parts.path.strip("/"):
            raise ValueError("must be like unix:///run/valkey/valkey.sock")
        return value
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0 or not parts.hostname:
        raise ValueError("must name a host, and a port between 1 and 65535 if it is not 6379")
    if parts.path.strip("/") and not parts.path.strip("/").isdecimal():
        raise ValueError("must have nothing behind the port but a slash and a number")
    return value


Seconds = Annotated[float, Field(gt=0, le=_YEAR)]
Interval = Annotated[float, Field(ge=0, le=_YEAR)]
"""Seconds, too; 0 disables it."""
Rate = Annotated[float, Field(gt=0, le=1_000_000)]
Count = Annotated[int, Field(ge=1)]
Bytes = Annotated[int, Field(ge=1)]
BufferBytes = Annotated[int, Field(ge=1024)]
Text = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=0, le=65_535)]
UrlPath = Annotated[str, AfterValidator(_path)]
Origin = Annotated[str, AfterValidator(_origin)]
Link = Annotated[str, AfterValidator(_link)]
ProxyAddress = Annotated[str, AfterValidator(_proxy)]
NodeName = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,16}$")]
CookieName = Annotated[str, Field(pattern=r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$")]
Algorithm = Literal["HS256", "RS256", "ES256"]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
BearerToken = Annotated[Secret, AfterValidator(_bearer_token)]
ListenAddress = Annotated[str, AfterValidator(_listen_address)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
BusUrl = Annotated[SecretStr, AfterValidator(_bus_url)]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["console", "json"]
