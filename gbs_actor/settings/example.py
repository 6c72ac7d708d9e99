"""The example settings file: every setting with its documentation and default."""

from __future__ import annotations

import textwrap

from pydantic import BaseModel

from gbs_actor.settings.settings import Settings, declarations, toml_value

WIDTH = 88

_HEAD = """\
# Settings of gbs-actor. Every line that is commented out shows the default.
#
# Precedence: command line, environment, this file, default. The environment variable of
# a setting is GBS_ and its name in capitals: GBS_PORT for port. Lists are separated by
# commas there. `gbs-actor settings` prints the values in effect and their sources.
"""

_EXAMPLES = {
    "tls_certificate": '"/etc/gbs-actor/fullchain.pem"',
    "tls_key": '"/etc/gbs-actor/privkey.pem"',
    "tls_key_password": '"password of the key file"',
    "sign_in_url": '"https://page.example.org/login"',
    "database_url": '"postgresql://gbs:password@localhost/gbs"',
    "node": '"a"',
    "data_dir": '"/var/lib/gbs-actor"',
    "jwt_secret": '"at least 32 bytes, from: openssl rand -base64 48"',
    "bus_url": '"valkey://gbs:password@localhost:6379"',
    "jwt_public_key_file": '"/etc/gbs-actor/public-key.pem"',
    "jwks_file": '"/etc/gbs-actor/jwks.json"',
    "jwt_issuer": '"https://login.example.org"',
    "jwt_audience": '"gbs-lineup"',
    "admin_token": '"at-least-32-bytes-from-openssl-rand-base64-48"',
    "metrics_token": '"at-least-32-bytes-from-openssl-rand-base64-48"',
    "admin_listen": '"127.0.0.1:9090"',
    "recovery_secret": '"at least 32 bytes, from: openssl rand -base64 48"',
}
"""Examples of settings without a default, or with one that depends on the user."""


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ")


def _value(name: str, default: object) -> str:
    text = f"{name} = {_EXAMPLES.get(name) or toml_value(default)}"
    if len(text) <= WIDTH - 1 or not isinstance(default, tuple):
        return f"#{text}"
    items = "\n".join(f"#    {toml_value(item)}," for item in default)
    return f"#{name} = [\n{items}\n#]"


def example() -> str:
    """Return a TOML file with every setting, documented and commented out."""
    lines = [_HEAD]
    former = ""
    for group, name, info in declarations():
        if group != former:
            model = Settings.model_fields[group].annotation
            assert isinstance(model, type)
            assert issubclass(model, BaseModel)
            lines += [f"\n[{group}]", *_comment((model.__doc__ or "").partition("\n")[0]), ""]
            former = group
        note = " Not set by default." if info.default is None else ""
        lines += [*_comment((info.description or "") + note), _value(name, info.default), ""]
    return "\n".join(lines).rstrip().replace("\n\n\n", "\n\n") + "\n"
