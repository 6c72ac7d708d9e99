"""The command line ``gbs-actor``: the server, and commands for operators.

Each command is in a module: ``serving``, ``settings``, ``checking``, ``tailing``, ``events``,
``tokens``, ``token_checking``, ``database``. ``admin_client`` is what commands use of ``/admin``.
"""


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    from gbs_actor.cli.app import app

    app()


__all__ = ["main"]
