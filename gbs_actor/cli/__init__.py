"""``gbs-actor``: serve, look, try out, maintain."""


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    from gbs_actor.cli.app import app

    app()


__all__ = ["main"]
