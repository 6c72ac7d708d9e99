"""``check-token`` says whether the server accepts a token, and shows it to nobody."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from typer.testing import CliRunner, Result

from gbs_actor.auth import MAX_TOKEN
from gbs_actor.cli.app import app
from gbs_actor.demo.secret import demo_secret
from tests.auth.keypairs import ec_key, jwk, key_set, private_pem, rsa_key
from tests.cli.conftest import Command
from tests.cli.pty_process import on_terminal

SECRET = "mXv0Zq7dRk3wTn9bYc5hLs1fJg8pUe2aKo6i"
OTHER = "another secret, which has enough bytes"


def signed(secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    payload = {"userId": 7, "name": "김하늘", "role": "LINEUP_STAFF", **claims}
    given = {name: value for name, value in payload.items() if value is not None}
    return jwt.encode(given, secret, algorithm)


def in_seconds(seconds: float) -> int:
    return int(time.time() + seconds)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(command: Command) -> None:
    """Run below the folder and the environment of :func:`command`."""


def check(token: str, *arguments: str, **environment: str) -> Result:
    """Check a token on standard input; it must appear nowhere."""
    settings = {"GBS_JWT_SECRET": SECRET, **environment}
    done = CliRunner().invoke(app, ["check-token", *arguments], input=token, env=settings)
    assert "Traceback" not in done.output
    for part in token.strip().split("."):
        assert len(part) < 8 or part not in done.output
    assert SECRET not in done.output
    return done


def test_an_accepted_token_is_described() -> None:
    done = check(
        signed(exp=in_seconds(7 * 3600 + 90), adminUserId=70, retreats=["winter", "summer"])
    )
    assert done.exit_code == 0
    accepted, user, role, retreats, expires = done.stdout.splitlines()
    assert accepted == "Accepted."
    assert user == "user:     김하늘 (id 7, admin 70)"
    assert role == "role:     LINEUP_STAFF, which may read, edit"
    assert retreats == "retreats: summer, winter"
    assert expires.endswith(", in 7 h 1 min")


@pytest.mark.parametrize(
    ("role", "environment", "words"),
    [
        ("ADMIN_MINISTER", {}, "may read, edit, use /admin"),
        ("LEADER_STAFF", {}, "may read"),
        ("LEADER_STAFF", {"GBS_READER_ROLES": "ACCOUNT_STAFF"}, "may do nothing"),
    ],
)
def test_a_role_is_described_by_its_rights(
    role: str, environment: dict[str, str], words: str
) -> None:
    done = check(signed(role=role), **environment)
    assert f"role:     {role}, which {words}\n" in done.stdout
    assert "retreats: all\n" in done.stdout
    assert "expires:  never\n" in done.stdout


def test_a_token_that_is_accepted_a_moment_longer_says_so() -> None:
    done = check(signed(exp=in_seconds(-2)))
    assert done.exit_code == 0
    assert re.search(r"; accepted for 2[0-9] s more$", done.stdout)


def test_a_year_that_this_time_zone_does_not_have_is_shown_in_utc(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Asia/Seoul")
    time.tzset()
    try:
        done = check(signed(exp=253_402_300_799))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert "9999-12-31 23:59:59 UTC" in done.stdout, done.output


@pytest.mark.parametrize(
    ("token", "environment", "why", "advice"),
    [
        ("three words here", {}, "it is no JWT", "Copy it as a whole"),
        (f'"{signed()}"', {}, "it is no JWT", "without quotes"),
        ("a.b.c.d.e", {}, "it is encrypted", "signed one"),
        (signed(name="x" * MAX_TOKEN), {}, "8,192 are allowed", "fewer claims"),
        ("AAAA." + signed().partition(".")[2], {}, "damaged", "Copy it"),
        (signed(algorithm="HS512"), {}, "'HS512'; the server accepts HS256", "GBS_JWT_ALGORITHMS"),
        (signed("", "none"), {}, "it is signed with 'none'", "Sign it"),
        (signed(OTHER), {}, "no key of the server for HS256 verifies", "GBS_JWT_SECRET"),
        (signed()[:-8] + "AAAAAAAA", {}, "no key of the server", "changed since"),
        (signed(), {"GBS_JWT_ISSUER": "https://a"}, "(iss) is not set, not 'https://a'", "issuer"),
        (signed(iss="b"), {"GBS_JWT_ISSUER": "a"}, "(iss) is 'b', not 'a'", "GBS_JWT_ISSUER"),
        (signed(aud=["b"]), {"GBS_JWT_AUDIENCE": "a"}, "(aud) is ['b'], not", "GBS_JWT_AUDIENCE"),
        (signed(role=None), {}, "role", "It needs userId"),
        (signed(role="POPE"), {}, "POPE", "ADMIN_MINISTER"),
        (signed(userId=-1), {}, "userId is no id", "It needs userId"),
    ],
)
def test_a_refused_token_says_why_and_what_to_do(
    token: str, environment: dict[str, str], why: str, advice: str
) -> None:
    done = check(token, **environment)
    assert done.exit_code == 1, done.output
    first, second = done.stdout.splitlines()
    assert first.startswith("Refused (")
    assert why in first
    assert advice in second


def test_a_key_that_is_missing_is_named(tmp_path: Path) -> None:
    with_rs256 = signed(private_pem(rsa_key()).decode(), "RS256")
    done = check(with_rs256)
    assert "the server has no key for RS256" in done.stdout
    assert "GBS_JWKS_FILE" in done.stdout
    (tmp_path / "jwks.json").write_bytes(key_set(jwk(ec_key(), "this year")))
    unknown = jwt.encode(
        {"userId": 7, "role": "LINEUP_STAFF"},
        private_pem(ec_key()),
        "ES256",
        headers={"kid": "last year"},
    )
    done = check(unknown, GBS_JWKS_FILE="jwks.json")
    assert "its key (kid) is 'last year', and the server knows 'this year'" in done.stdout


def test_a_token_out_of_its_time_says_when_it_is_valid() -> None:
    expired = check(signed(exp=in_seconds(-7_290)))
    assert expired.exit_code == 1
    assert re.search(
        r"\(TOKEN_EXPIRED\): it has expired at 20\d\d-.*, 2 h 1 min ago\.", expired.stdout
    )
    assert "sign in again" in expired.stdout
    early = check(signed(nbf=in_seconds(3_650)))
    assert early.exit_code == 1
    assert re.search(r"it is valid from 20\d\d-.*, in 1 h\b", early.stdout)
    assert "clock" in early.stdout


def test_the_token_may_be_in_a_file_or_an_argument_but_not_both(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"Authorization: Bearer {signed()}\n")
    assert check("", "--file", "token").exit_code == 0
    assert check("", signed()).exit_code == 0
    assert check("", signed(), "--file", "token").exit_code == 2
    missing = check("", "--file", "nowhere")
    assert (missing.exit_code, missing.stderr) == (
        2,
        "Error: nowhere: No such file or directory.\n",
    )
    assert "There is no token." in check(" \n").stderr


def test_without_a_key_the_demo_on_this_data_decides(tmp_path: Path) -> None:
    secret = demo_secret(tmp_path / "data")
    environment = {"GBS_JWT_SECRET": "", "GBS_DATA_DIR": str(tmp_path / "data")}
    assert check(signed(secret), **environment).exit_code == 0
    assert check(signed(), **environment).exit_code == 1
    nowhere = check(signed(), GBS_JWT_SECRET="", GBS_DATA_DIR=str(tmp_path / "none"))
    assert nowhere.exit_code == 2
    assert "There is nothing to verify tokens with" in nowhere.stderr


def test_what_a_token_says_does_nothing_to_the_terminal() -> None:
    done = check(signed(name="\x1b]52;c;aGk=\x07\u202e", aud="\x1b[2J"))
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout


async def test_at_a_terminal_it_is_asked_for_and_not_shown(tmp_path: Path) -> None:
    with on_terminal("check-token", data=tmp_path / "data", GBS_JWT_SECRET=SECRET) as terminal:
        await terminal.until("Token (not shown):")
        await terminal.write(signed() + "\n")
        written = await terminal.until("expires:")
    assert "Accepted." in written
    assert signed().rpartition(".")[2] not in written
