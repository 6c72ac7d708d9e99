"""Secrets that can be guessed, and random ones."""

from __future__ import annotations

import base64
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.settings import Settings, SettingsError, example
from gbs_actor.settings.guessable import is_guessable

_WORDS = """
    abacus blizzard cactus dolphin eggshell flannel gravity humming ivory jigsaw kelp lantern
    marbling nectar outrage pelican quiver raisin sandbar tulip unwieldy velvet walnut yonder
    zesty acorn banjo crouton dizzy ember fidget glimmer hazelnut iguana jaunt kiwi lilac mango
"""


@pytest.mark.parametrize(
    "secret",
    [
        "at least 32 bytes, from: openssl rand -base64 48",
        "x" * 32,
        " " * 40,
        "\t \n" * 20,
        "abc123" * 6,
        "1234567890" * 4,
        "0123456789abcdef" * 2,
        "abcdefghijklmnopqrstuvwxyz012345",
        "qwertyuiopasdfghjklzxcvbnm123456",
        "1q2w3e4r5t6y7u8i9o0p1q2w3e4r5t6y",
        "aabbccddeeffgghhiijjkkllmmnnoopp",
        "a" * 16 + "b" * 16,
        "deadbeef" * 4,
        "secretsecretsecretsecretsecretse",
        "ChangeMe" * 4,
        "P@ssw0rd" * 4,
        "password-password-password-password",
        "your-256-bit-secret-your-256-bit-secret",
        "please-change-this-secret-in-production!",
        "my-super-secret-jwt-signing-key-change-me",
        "my_super_secret_jwt_signing_key_change_me",
        "jwt_secret_key_for_development_only",
        "this-is-a-very-long-secret-key-for-jwt",
        "gbs-actor-secret-gbs-actor-secret-123",
        "00000000-0000-0000-0000-000000000000",
        "수양회" * 4,
    ],
)
def test_what_can_be_guessed_is_refused(secret: str) -> None:
    assert len(secret.encode()) >= 32
    assert is_guessable(secret)


def test_the_examples_of_the_settings_file_are_refused() -> None:
    lines = [line for line in example().splitlines() if line.startswith("#jwt_secret = ")]
    assert lines
    assert all(is_guessable(line.partition('"')[2].rstrip('"')) for line in lines)


@given(st.randoms(use_true_random=True))
def test_what_generators_make_is_accepted(random: Random) -> None:
    assert not is_guessable(random.randbytes(16).hex())
    assert not is_guessable(base64.b64encode(random.randbytes(24)).decode())
    assert not is_guessable(f"{UUID(bytes=random.randbytes(16))}{UUID(bytes=random.randbytes(16))}")
    words = random.sample(_WORDS.split(), 6)
    for passphrase in ("-".join(words), " ".join(words), "".join(words)):
        assert len(passphrase) < 32 or not is_guessable(passphrase)


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("auth", "jwt_secret"),
        ("recovery", "recovery_secret"),
        ("admin", "admin_token"),
        ("admin", "metrics_token"),
    ],
)
def test_the_refusal_names_the_setting_and_the_command_but_not_the_secret(
    group: str, name: str
) -> None:
    settings = Settings.load(environment={f"GBS_{name.upper()}": "geheim" * 8})
    with pytest.raises(SettingsError) as refused:
        settings.refuse_guessable_secrets()
    assert str(refused.value) == (
        f"GBS_{name.upper()}: can be guessed; make a random secret by: openssl rand -base64 48"
    )
