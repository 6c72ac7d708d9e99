"""Keys come from settings, a PEM file, or a key set that may change."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr

from gbs_actor.auth import AuthError, KeyRing, KeySetFile, Verifier
from gbs_actor.auth.keys import MAX_KEY_FILE, MAX_KEYS, parse_key_set
from gbs_actor.settings import AuthSettings, SettingsError
from tests.auth.keypairs import NOW, SECRET, ec_key, jwk, key_set, pem, rsa_key

CLAIMS = {"userId": 7, "role": "LINEUP_STAFF", "exp": NOW + 3600}


def replace(path: Path, content: bytes) -> None:
    """Put new content there as a careful administrator does: in one step."""
    draft = path.with_suffix(".new")
    draft.write_bytes(content)
    os.replace(draft, path)


@pytest.fixture
def jwks(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    path.write_bytes(key_set(jwk(rsa_key("first"), "a"), jwk(ec_key("first"), "b")))
    return path


def token(key: Any, kid: str | None = None) -> str:
    algorithm = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"
    return jwt.encode(CLAIMS, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


def accepts(verifier: Verifier, text: str) -> bool:
    try:
        verifier.verify(text)
    except AuthError:
        return False
    return True


def with_set(path: Path) -> Verifier:
    return Verifier(AuthSettings(jwks_file=path), now=lambda: NOW)


def test_the_kid_chooses_the_key(jwks: Path) -> None:
    verifier = with_set(jwks)
    assert accepts(verifier, token(rsa_key("first"), "a"))
    assert accepts(verifier, token(ec_key("first"), "b"))


def test_a_key_under_another_kid_is_not_taken(jwks: Path) -> None:
    assert not accepts(with_set(jwks), token(rsa_key("first"), "b"))
    assert not accepts(with_set(jwks), token(rsa_key("first"), "unknown"))


def test_without_a_kid_every_key_of_the_algorithm_is_tried(jwks: Path) -> None:
    replace(jwks, key_set(jwk(rsa_key("second"), "x"), jwk(rsa_key("first"), "a")))
    assert accepts(with_set(jwks), token(rsa_key("first")))


def test_a_new_key_is_taken_without_a_restart_and_the_old_one_is_not(jwks: Path) -> None:
    verifier = with_set(jwks)
    assert not accepts(verifier, token(rsa_key("second"), "c"))
    replace(jwks, key_set(jwk(rsa_key("second"), "c")))
    assert accepts(verifier, token(rsa_key("second"), "c"))
    assert not accepts(verifier, token(rsa_key("first"), "a"))


@pytest.mark.parametrize("content", [b"", b"{", b'{"keys":[]}', b"x" * (MAX_KEY_FILE + 1)])
def test_a_change_that_cannot_be_used_leaves_the_former_keys(jwks: Path, content: bytes) -> None:
    verifier = with_set(jwks)
    replace(jwks, content)
    assert accepts(verifier, token(rsa_key("first"), "a"))


def test_a_deleted_key_set_leaves_the_former_keys(jwks: Path) -> None:
    verifier = with_set(jwks)
    jwks.unlink()
    assert accepts(verifier, token(rsa_key("first"), "a"))


def test_an_unchanged_file_is_not_read_again(jwks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = KeySetFile(jwks)

    def fail(path: Path) -> bytes:
        raise AssertionError(path)

    monkeypatch.setattr("gbs_actor.auth.keys._read", fail)
    assert len(keys.keys()) == 2


def test_a_key_set_serves_only_what_signs_with_our_algorithms() -> None:
    """Symmetric keys, private keys, encryption keys and other curves are left out."""
    good = jwk(rsa_key(), "good")
    p384 = ec.generate_private_key(ec.SECP384R1())
    content = key_set(
        {"kty": "oct", "k": "c2VjcmV0", "kid": "good"},
        {**good, "d": "AQAB", "kid": "private"},
        {**good, "use": "enc", "kid": "encrypts"},
        {**good, "alg": "RS512", "kid": "other algorithm"},
        {**jwk(p384, "curve")},
        {**jwk(rsa_key("short", 1024), "short")},
        {"kty": "RSA", "kid": "broken"},
        {"kty": "EC", "crv": "P-256", "x": 5, "y": None},
        good,
    )
    assert [(key.kid, key.algorithm) for key in parse_key_set(content)] == [("good", "RS256")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[]}',
        b'{"keys":[5,null,[]]}',
        b"\xff",
        b"[" * 100_000,
        b'{"keys":[' + b",".join([b"{}"] * (MAX_KEYS + 1)) + b"]}",
    ],
    ids=lambda content: repr(content[:16]),
)
def test_what_is_no_key_set_stops_the_start(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"^jwks_file .* holds no usable keys: .*\.$"):
        KeySetFile(path)


def test_a_missing_key_set_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        KeySetFile(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"-----BEGIN PUBLIC KEY-----\nxx\n-----END PUBLIC KEY-----\n",
        pem(rsa_key("short", 1024)),
        ed25519.Ed25519PrivateKey.generate()
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ],
    ids=["empty", "garbage", "too short", "another kind"],
)
def test_what_is_no_public_key_stops_the_start(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="jwt_public_key_file"):
        KeyRing.from_settings(AuthSettings(jwt_public_key_file=path))


def test_a_missing_pem_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        KeyRing.from_settings(AuthSettings(jwt_public_key_file=tmp_path / "nowhere.pem"))


def test_a_key_that_no_allowed_algorithm_uses_stops_the_start() -> None:
    settings = AuthSettings(jwt_secret=SecretStr(SECRET), jwt_algorithms=("RS256",))
    with pytest.raises(SettingsError, match="No token could be verified"):
        KeyRing.from_settings(settings)


def test_no_key_at_all_stops_the_start() -> None:
    with pytest.raises(SettingsError, match="GBS_JWT_SECRET"):
        KeyRing.from_settings(AuthSettings())
