"""The Socket.IO echo server under stock Hypercorn.

Run with ``hypercorn -k trio -b 127.0.0.1:3000 tests.apps.asgi_socketio:app``.
"""

from __future__ import annotations

from tests.apps.echo_socketio import echo_server
from tests.apps.hosted import hosted

app = hosted(echo_server)
