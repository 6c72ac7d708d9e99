"""The command ``check-token``: whether the server would accept a token, and if not, why."""

from __future__ import annotations

import json
import re
import sys
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gbs_actor.cli.failures import FAILED, WRONG_USAGE, CommandFailed, expected_failures
from gbs_actor.cli.output import echo
from gbs_actor.cli.settings import ConfigOption, load_settings

if TYPE_CHECKING:
    from gbs_actor.auth import AuthError, User
    from gbs_actor.settings import AuthSettings, Settings

_INPUT_LIMIT: Final = 1_000_000
"""Bytes of standard input."""
_SCHEME: Final = re.compile(r"(?:authorization:\s*)?bearer\s+", re.IGNORECASE)
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))

Explanation = tuple[str, str]
"""Why a token is refused, and what to do."""


def check_token(
    token: Annotated[
        str | None,
        typer.Argument(
            metavar="[TOKEN]",
            help="The token. Default: standard input, as arguments stay in the shell's history.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="File with the token.")] = None,
    config: ConfigOption = None,
) -> None:
    """Check whether the server on these settings accepts a token: whose it is, or why not.

    Exit code 1 if not. The token is never printed. Grants in the database, which may give
    another role in a retreat, are not looked up.
    """
    with expected_failures():
        text = _SCHEME.sub("", _read(token, file).strip(), count=1)
        if not text:
            raise CommandFailed("There is no token.", WRONG_USAGE)
        settings = _with_keys(load_settings(config))

        from gbs_actor.auth import AuthError, Verifier

        try:
            user = Verifier(settings.auth).verify(text)
        except AuthError as error:
            why, advice = _explain(error, text, settings.auth)
            echo(f"Refused ({error.code}): {why}", advice)
            raise typer.Exit(FAILED) from None
        echo("Accepted.", *_describe(user, settings.auth))


def _read(token: str | None, file: Path | None) -> str:
    if token is not None and file is not None:
        raise CommandFailed("Give the token once: as an argument, or by --file.", WRONG_USAGE)
    if token is not None:
        return token
    if file is not None:
        try:
            return file.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise CommandFailed(f"{file}: {error.strerror}.", WRONG_USAGE) from None
    if sys.stdin.isatty():
        return getpass("Token (not shown): ")
    return sys.stdin.buffer.read(_INPUT_LIMIT).decode("utf-8", "replace")


def _with_keys(settings: Settings) -> Settings:
    """Return settings with the keys of the server, or of a demo on this data directory."""
    from gbs_actor.demo.secret import SECRET_FILE, with_keys

    secret_of_demo = settings.store.data_dir / SECRET_FILE
    return with_keys(settings, demo=not settings.auth.has_key and secret_of_demo.exists())


def _describe(user: User, auth: AuthSettings) -> Iterator[str]:
    from gbs_actor.auth import LEEWAY, Policy

    policy = Policy.from_settings(auth)
    rights = {
        "read": policy.may_read(user.role),
        "edit": policy.may_edit(user.role),
        "use /admin": policy.is_operator(user.role),
    }
    allowed = ", ".join(right for right, granted in rights.items() if granted) or "do nothing"
    admin = "" if user.admin_user_id == user.user_id else f", admin {user.admin_user_id}"
    yield f"user:     {user.name or 'without a name'} (id {user.user_id}{admin})"
    yield f"role:     {user.role}, which may {allowed}"
    yield f"retreats: {'all' if user.retreats is None else ', '.join(sorted(user.retreats))}"
    if user.expires_at is None:
        yield "expires:  never"
        return
    left = user.expires_at - time.time()
    if left > 0:
        yield f"expires:  {_local(user.expires_at)}, in {_period(left)}"
    else:
        yield f"expires:  {_local(user.expires_at)}; accepted for {_period(left + LEEWAY)} more"


def _explain(error: AuthError, token: str, auth: AuthSettings) -> Explanation:
    """Explain a refusal by what the token says of itself, which anybody may have written."""
    from gbs_actor.auth import TokenFault
    from gbs_actor.roles import Role

    header, claims = (_unverified(part) for part in f"{token}..".split(".")[:2])
    match error.fault:
        case TokenFault.FORM:
            return _explain_form(token)
        case TokenFault.ALGORITHM:
            accepted = ", ".join(auth.jwt_algorithms)
            return (
                f"it is signed with {_quoted(header, 'alg')}; the server accepts {accepted}.",
                "Sign it with one of these, or set GBS_JWT_ALGORITHMS.",
            )
        case TokenFault.SIGNATURE:
            return _explain_signature(header, auth)
        case TokenFault.ISSUER:
            return (
                f"its issuer (iss) is {_quoted(claims, 'iss')}, not {auth.jwt_issuer!r}.",
                "Use a token of that issuer, or correct GBS_JWT_ISSUER.",
            )
        case TokenFault.AUDIENCE:
            return (
                f"its audience (aud) is {_quoted(claims, 'aud')}, not {auth.jwt_audience!r}.",
                "Use a token for this server, or correct GBS_JWT_AUDIENCE.",
            )
        case TokenFault.NOT_YET_VALID:
            begin = float(claims["nbf"])
            return (
                f"it is valid from {_local(begin)}, in {_period(begin - time.time())}.",
                "Wait until then, or correct the clock of its issuer or of this machine.",
            )
        case TokenFault.EXPIRED:
            end = float(claims["exp"])
            return (
                f"it has expired at {_local(end)}, {_period(time.time() - end)} ago.",
                "Use a new one: the user has to sign in again.",
            )
        case _:
            return (
                f"{error.reason}.",
                f"It needs userId (or sub), and role, one of {', '.join(Role)}.",
            )


def _explain_form(token: str) -> Explanation:
    from gbs_actor.auth import MAX_TOKEN

    if len(token) > MAX_TOKEN:
        return (
            f"it has {len(token):,} characters, and {MAX_TOKEN:,} are allowed.",
            "Give it fewer claims.",
        )
    if token.count(".") == 4:
        return "it is encrypted (JWE).", "Use a signed one (JWS)."
    return (
        "it is no JWT, or damaged: three parts of base64url, with dots between.",
        "Copy it as a whole, without quotes, spaces or line breaks.",
    )


def _explain_signature(header: Mapping[str, Any], auth: AuthSettings) -> Explanation:
    from gbs_actor.auth import KeyRing

    keys = KeyRing.from_settings(auth)
    algorithm, kid = str(header.get("alg")), header.get("kid")
    symmetric = algorithm == "HS256"
    of_algorithm = keys.candidates(algorithm, None)
    if not of_algorithm:
        variable = "GBS_JWT_SECRET" if symmetric else "GBS_JWT_PUBLIC_KEY_FILE or GBS_JWKS_FILE"
        return f"the server has no key for {algorithm}.", f"Set {variable}."
    if not keys.candidates(algorithm, kid):
        known = ", ".join(repr(key.kid) for key in of_algorithm)
        return (
            f"its key (kid) is {_quoted(header, 'kid')}, and the server knows {known}.",
            "Add the key to the file of GBS_JWKS_FILE, which is read again by itself.",
        )
    return (
        f"no key of the server for {algorithm} verifies its signature ({len(of_algorithm)} tried).",
        "It was signed with another key, or changed since. "
        + (
            "Its issuer must use the secret of GBS_JWT_SECRET."
            if symmetric
            else "Its issuer must use the private key that belongs to the public key set here."
        ),
    )


def _unverified(part: str) -> Mapping[str, Any]:
    """Return the object that a part of a token holds; an empty one if it cannot be read."""
    try:
        content = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _quoted(fields: Mapping[str, Any], name: str) -> str:
    return f"{fields[name]!r:.100}" if name in fields else "not set"


def _local(moment: float) -> str:
    """Return a time for people, in the time zone of this machine."""
    try:
        return f"{datetime.fromtimestamp(moment).astimezone():%Y-%m-%d %H:%M:%S %Z}"
    except (ValueError, OverflowError):  # in the year 10000, here
        return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _period(seconds: float) -> str:
    """Return a time span in its two largest units, such as ``7 h 32 min``."""
    left, parts = max(0, int(seconds)), []
    for size, unit in _UNITS:
        if left >= size or unit == "s":
            parts.append(f"{left // size} {unit}")
            left %= size
    shown = parts[:2]
    return " ".join(part for part in shown if not part.startswith("0 ")) or shown[0]
