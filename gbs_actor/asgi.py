"""The server as an ASGI application: ``hypercorn -k trio gbs_actor.asgi:app``.

Settings come from the environment and the TOML file, as for ``gbs-actor serve``; where to
listen, and TLS, are Hypercorn's business. One worker: a database has one server.
"""

from __future__ import annotations

from gbs_actor.auth import with_keys
from gbs_actor.cli.configuration import configured
from gbs_actor.cli.failures import explain, leaves
from gbs_actor.server.hosted import HostedServer
from gbs_actor.settings import Settings
from gbs_actor.socketio import with_lifespan


def _load() -> Settings:
    return with_keys(configured(None), demo=False)


def _explain(error: BaseException) -> str:
    sentences = (explain(leaf) for leaf in leaves(error))
    return " ".join(said[0] if said else repr(error) for said in sentences)


_server = HostedServer(_load)

app = with_lifespan(_server, _server.running, _explain)
