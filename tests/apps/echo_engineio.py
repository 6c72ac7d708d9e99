"""The server that the Engine.IO protocol test suite asks for: it sends every message back.

Run with ``python -m tests.apps.echo_engineio --port 3000``.
"""

from __future__ import annotations

from typing import Any

from gbs_actor.socketio import EngineServer, ServerOptions, Session
from tests.apps.command import main


class Echo:
    """Sends everything back, text as text and bytes as bytes."""

    joined = True

    def __init__(self, connection: Session) -> None:
        self._connection = connection

    def receive_text(self, text: str, start: int) -> None:
        self._connection.send(text[start:])

    def receive_binary(self, payload: bytes) -> None:
        self._connection.send(payload)

    def resume_events(self) -> None:
        """Nothing has waited."""

    def lag_changed(self, lagging: bool) -> None:
        """Nobody wants to know."""

    def ended(self, reason: str) -> None:
        """Nothing is left to do."""

    async def run_disconnect_handlers(self) -> None:
        """Nothing is left to say."""


def echo_server(**options: Any) -> EngineServer:
    """Return a server at ``/engine.io/`` with no Socket.IO in it."""
    return EngineServer(ServerOptions("/engine.io/", **options), Echo)


if __name__ == "__main__":
    main(echo_server, str(__doc__))
