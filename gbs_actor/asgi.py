"""The server as an ASGI application: ``hypercorn -k trio gbs_actor.asgi:app``.

Settings come from the environment and the TOML file, as for ``gbs-actor serve``; where to
listen, and TLS, are Hypercorn's business. One worker: a database has one server.
"""

from __future__ import annotations

import structlog

from gbs_actor.cli.configuration import configured
from gbs_actor.cli.failures import FAILED, complain, explain, leaves
from gbs_actor.demo.secret import with_keys
from gbs_actor.server.hosted import HostedServer
from gbs_actor.server.hypercorn import prepare_worker
from gbs_actor.settings import Settings
from gbs_actor.socketio import with_lifespan

_log = structlog.get_logger(__name__)


def _load() -> Settings:
    return with_keys(configured(None), demo=False)


def _explain(error: BaseException) -> str:
    explained = [explain(leaf) for leaf in leaves(error)]
    if None in explained:
        _log.error("The server does not start", exc_info=error)  # a bug: where is it?
        return repr(error)
    return " ".join(said[0] for said in explained if said is not None)


def _failed(sentence: str) -> int:
    complain(sentence)
    return FAILED


_server = HostedServer(_load)

app = with_lifespan(_server, _server.running, _explain)

prepare_worker(ending=_server.end, failed=_failed)
