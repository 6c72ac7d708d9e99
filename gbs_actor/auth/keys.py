"""The keys that verify tokens, each for one algorithm only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK, PyJWTError
from jwt.algorithms import get_default_algorithms

from gbs_actor.settings import Algorithm, AuthSettings, SettingsError

MAX_KEY_FILE = 256 * 1024
"""The largest key file, in bytes."""
MAX_KEYS = 32
"""The most keys of a set: a token without a kid is tried with all keys of its algorithm."""
MINIMUM_RSA_BITS = 2048

_ALGORITHMS: Final = get_default_algorithms()

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    """A key that verifies signatures.

    The algorithm belongs to the key, not to the token: so a public key can never be used as an
    HMAC secret (RFC 8725 §2.1, §3.1).
    """

    algorithm: Algorithm
    material: RSAPublicKey | EllipticCurvePublicKey | bytes
    kid: str | None = None

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Return whether this key's owner has signed a message."""
        return _ALGORITHMS[self.algorithm].verify(message, self.material, signature)


def _public_key(material: object, kid: str | None = None) -> Key:
    """Return a key for RS256 or ES256.

    :raises ValueError: it is of another type, or too short.
    """
    if isinstance(material, RSAPublicKey):
        if material.key_size < MINIMUM_RSA_BITS:
            raise ValueError(f"an RSA key has at least {MINIMUM_RSA_BITS} bits")
        return Key("RS256", material, kid)
    if isinstance(material, EllipticCurvePublicKey) and isinstance(material.curve, SECP256R1):
        return Key("ES256", material, kid)
    raise ValueError("neither an RSA key nor one on the curve P-256")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_KEY_FILE + 1)
    if len(content) > MAX_KEY_FILE:
        raise ValueError(f"longer than {MAX_KEY_FILE} bytes")
    return content


def read_pem(path: Path) -> Key:
    """Return the public key in a PEM file.

    :raises SettingsError: it cannot be read, or is no public key for RS256 or ES256.
    """
    try:
        return _public_key(_load_pem(_read(path)))
    except OSError as error:
        raise SettingsError(f"jwt_public_key_file {path}: {error.strerror}.") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError(f"jwt_public_key_file {path} holds no usable key: {error}.") from None


def _load_pem(content: bytes) -> object:
    try:
        return load_pem_public_key(content)
    except ValueError:
        raise ValueError(
            'it must begin with "-----BEGIN PUBLIC KEY-----"; of a private key, '
            "openssl pkey -pubout makes that"
        ) from None


def parse_key_set(content: bytes) -> tuple[Key, ...]:
    """Return the signature keys of a JSON Web Key Set (RFC 7517 §5).

    Keys for encryption, symmetric keys, private keys and those of other algorithms are
    ignored.

    :raises ValueError: it is no key set, has too many keys, or none that can be used.
    """
    try:
        document = json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError:
        raise ValueError("it is no JSON") from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError('there is no list "keys"')  # noqa: TRY004  (the content is at fault)
    if len(entries) > MAX_KEYS:
        raise ValueError(f"more than {MAX_KEYS} keys")
    keys = tuple(key for entry in entries if (key := _from_jwk(entry)) is not None)
    if not keys:
        raise ValueError("no public key for RS256 or ES256 in it")
    return keys


def _from_jwk(entry: Any) -> Key | None:
    if not isinstance(entry, dict) or entry.get("kty") not in {"RSA", "EC"} or "d" in entry:
        return None
    if entry.get("use", "sig") != "sig":
        return None
    try:
        kid = entry.get("kid")
        key = _public_key(PyJWK(entry).key, kid if isinstance(kid, str) else None)
    except (PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None
    return key if entry.get("alg", key.algorithm) == key.algorithm else None


class KeySetFile:
    """A JWKS file, read again when it has changed.

    If the new content cannot be used, that is logged and the former keys stay in use: a file
    that is being written must not lock all users out.
    """

    def __init__(self, path: Path) -> None:
        """Read the file for the first time.

        :raises SettingsError: it cannot be read or used.
        """
        self.path = path
        try:
            self._last_fingerprint = self._fingerprint()
            self._keys = parse_key_set(_read(path))
        except OSError as error:
            raise SettingsError(f"jwks_file {path}: {error.strerror}.") from None
        except ValueError as error:
            raise SettingsError(f"jwks_file {path} holds no usable keys: {error}.") from None

    def _fingerprint(self) -> tuple[int, int, int]:
        status = self.path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino

    def keys(self) -> tuple[Key, ...]:
        """Return the current keys of the file; costs one ``stat`` if it is unchanged."""
        try:
            fingerprint = self._fingerprint()
            if fingerprint != self._last_fingerprint:
                self._last_fingerprint = (
                    fingerprint  # before reading: a bad file is tried once, not always
                )
                self._keys = parse_key_set(_read(self.path))
                log.info("Token keys read again", file=str(self.path), keys=len(self._keys))
        except (OSError, ValueError) as error:
            log.warning("The key set cannot be used, the former keys stay", error=str(error))
        return self._keys


class KeyRing:
    """All keys of the settings, chosen by algorithm and kid."""

    def __init__(self, fixed: Sequence[Key] = (), key_set: KeySetFile | None = None) -> None:
        self._fixed = tuple(fixed)
        self._key_set = key_set
        self._from_file: tuple[Key, ...] = ()
        self._all = self._fixed

    @classmethod
    def from_settings(cls, settings: AuthSettings) -> KeyRing:
        """Read the key files.

        :raises SettingsError: one of them cannot be used, or there is no key at all for
            any algorithm that is allowed.
        """
        fixed = []
        if settings.jwt_secret:
            fixed.append(Key("HS256", settings.jwt_secret.get_secret_value().encode()))
        if settings.jwt_public_key_file:
            fixed.append(read_pem(settings.jwt_public_key_file))
        ring = cls(fixed, KeySetFile(settings.jwks_file) if settings.jwks_file else None)
        if not any(ring.candidates(algorithm, None) for algorithm in settings.jwt_algorithms):
            raise SettingsError(
                "No token could be verified: set GBS_JWT_SECRET, GBS_JWT_PUBLIC_KEY_FILE or "
                "GBS_JWKS_FILE, with a key for one of jwt_algorithms."
            )
        return ring

    def keys(self) -> tuple[Key, ...]:
        """Return all keys; the same object as long as they are the same."""
        if self._key_set is not None:
            from_file = self._key_set.keys()
            if from_file is not self._from_file:
                self._from_file, self._all = from_file, self._fixed + from_file
        return self._all

    def candidates(self, algorithm: str, kid: str | None) -> list[Key]:
        """Return the keys that a token with this algorithm and kid may be signed with.

        A kid chooses among the keys of the set that have one; without a kid all keys of
        the algorithm are tried. The secret and the PEM file have no kid and match any.
        """
        return [
            key
            for key in self.keys()
            if key.algorithm == algorithm and (kid is None or key.kid in {None, kid})
        ]
