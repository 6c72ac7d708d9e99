"""The command ``check``: whether the server could start and work, without starting it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Final

import typer

from gbs_actor.cli.failures import FAILED, expected_failures
from gbs_actor.cli.output import echo_json, echo_styled
from gbs_actor.cli.settings import ConfigOption

_STYLES: Final = {"ok": "green", "warning": "yellow", "error": "bold red"}


def check(
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON array of all findings, for scripts.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Check settings, keys, certificate, port, descriptors, database, schema, clock and disk.

    Changes nothing, and starts nothing. One line each: what is the case, and what to do. Exit
    code 1 if the server would not start or not work; warnings do not fail. Run it as the user
    of the server, with the same settings.
    """
    import trio

    from gbs_actor.server.checks import Status, check_all

    with expected_failures():
        findings = trio.run(check_all, config)
    if as_json:
        echo_json([asdict(each) for each in findings])
    else:
        for each in findings:
            advice = f"; {each.advice}" if each.advice else ""
            echo_styled(
                (f"{each.status:<8} ", _STYLES[each.status]),
                (f"{each.check:<12} {each.text}{advice}", ""),
            )
    if any(each.status is Status.ERROR for each in findings):
        raise typer.Exit(FAILED)
