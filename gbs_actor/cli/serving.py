"""The command ``serve``."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import Annotated

import typer

from gbs_actor.cli.failures import expected_failures
from gbs_actor.cli.settings import ConfigOption, load_settings


def serve(
    demo: Annotated[
        bool,
        typer.Option(
            "--demo",
            help="Add demo retreats, and use a secret of the demo's own if none is set.",
        ),
    ] = False,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="TCP port; 0: any free one.", show_default="8080"),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Run the server until Ctrl-C or SIGTERM.

    Without GBS_DATABASE_URL it starts an embedded PostgreSQL.
    """
    given = {
        name: value for name, value in {"host": host, "port": port}.items() if value is not None
    }
    overrides = {"server": given} if given else None
    with expected_failures():
        settings = load_settings(config, overrides)

        from gbs_actor.demo.secret import with_keys

        settings = with_keys(settings, demo=demo)

        import trio

        from gbs_actor.cli.banner import announce
        from gbs_actor.cli.signals import serve_until_signal
        from gbs_actor.cli.systemd import ServiceManager
        from gbs_actor.server import serve as run
        from gbs_actor.settings import Settings

        def load_again() -> Settings:
            return with_keys(Settings.load(config, overrides=overrides), demo=demo)

        with ServiceManager.from_environment(os.environ) as manager:
            trio.run(
                partial(
                    serve_until_signal,
                    # An operator stops it as SIGTERM does, with all that belongs to that.
                    partial(
                        run, load=load_again, stop=partial(signal.raise_signal, signal.SIGTERM)
                    ),
                    settings,
                    demo=demo,
                    announce=partial(announce, settings, demo=demo),
                    manager=manager,
                )
            )
