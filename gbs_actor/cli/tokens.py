"""The command ``token``, and the tokens that other commands need."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from gbs_actor.cli.failures import WRONG_USAGE, CommandFailed, expected_failures
from gbs_actor.cli.output import echo
from gbs_actor.cli.settings import ConfigOption, load_settings
from gbs_actor.roles import Role

if TYPE_CHECKING:
    from gbs_actor.settings import Settings

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,9})([smhd])")


def signing_secret(settings: Settings) -> str:
    """Return the secret that the server on these settings verifies tokens with.

    The configured one, or that of a demo that was started on this data directory.

    :raises CommandFailed: there is none.
    :raises SettingsError: the demo's cannot be read.
    """
    from gbs_actor.demo.secret import SECRET_FILE, demo_secret

    if settings.auth.jwt_secret is not None:
        return settings.auth.jwt_secret.get_secret_value()
    if settings.auth.has_key:
        raise CommandFailed(
            "Tokens are signed elsewhere: only public keys are set here, and no GBS_JWT_SECRET.",
            WRONG_USAGE,
        )
    if not (settings.store.data_dir / SECRET_FILE).exists():
        raise CommandFailed(
            "There is no secret to sign with: set GBS_JWT_SECRET, or start the demo once "
            "(gbs-actor serve --demo).",
            WRONG_USAGE,
        )
    return demo_secret(settings.store.data_dir)


def make_token(
    settings: Settings,
    *,
    user_id: int,
    name: str,
    role: Role,
    expires_in: float,
    email: str = "",
    admin_user_id: int | None = None,
    retreats: list[str] | None = None,
) -> str:
    """Return a token that the server on these settings accepts; ``expires_in`` in seconds."""
    from gbs_actor.auth import mint

    return mint(
        signing_secret(settings),
        user_id=user_id,
        name=name,
        role=role,
        email=email,
        admin_user_id=admin_user_id,
        retreats=retreats,
        expires_in=expires_in,
        issuer=settings.auth.jwt_issuer,
        audience=settings.auth.jwt_audience,
    )


def token_of_command(
    settings: Settings, *, name: str, role: Role, expires_in: float, variable: str
) -> str:
    """Return a token for a command that was given none.

    :param name: what the server shows as the user's.
    :param expires_in: seconds.
    :param variable: the environment variable by which a token can be given.
    :raises CommandFailed: none can be signed here, with the advice to give one.
    """
    try:
        return make_token(settings, user_id=1, name=name, role=role, expires_in=expires_in)
    except CommandFailed as error:
        raise CommandFailed(
            f"{error} Or give a token: --token or {variable}.", error.exit_code
        ) from None


def _seconds(duration: str) -> int:
    """Return the seconds in ``8h`` and the like.

    :raises typer.BadParameter: it has another form, or is 0.
    """
    match = _DURATION.fullmatch(duration.strip())
    if match is None or int(match[1]) == 0:
        raise typer.BadParameter("a number and a unit, like 90s, 30m, 8h or 7d")
    return int(match[1]) * _UNITS[match[2]]


def token(
    user_id: Annotated[int, typer.Option(min=1, help="Id of the user.")],
    role: Annotated[Role, typer.Option(help="What the user may do.")] = Role.LINEUP_STAFF,
    name: Annotated[str, typer.Option(help="Name that others see.")] = "",
    email: Annotated[str, typer.Option(help="E-mail address.")] = "",
    admin_user_id: Annotated[
        int | None, typer.Option(min=1, help="Id among the admins. Default: the user's id.")
    ] = None,
    expires: Annotated[
        str, typer.Option(metavar="TIME", help="How long it is valid: 90s, 30m, 8h, 7d.")
    ] = "8h",
    retreats: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SLUG", help="Retreat it is valid for; may be repeated. Default: all."
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Print a token, signed with GBS_JWT_SECRET or with the demo's secret.

    For scripts and experiments: TOKEN=$(gbs-actor token --user-id 7)
    """
    expires_in = _seconds(expires)
    with expected_failures():
        echo(
            make_token(
                load_settings(config),
                user_id=user_id,
                name=name,
                role=role,
                email=email,
                admin_user_id=admin_user_id,
                retreats=retreats or None,
                expires_in=expires_in,
            )
        )
