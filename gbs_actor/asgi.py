"""The server as an ASGI application: ``hypercorn -k trio gbs_actor.asgi:app``.

Settings come from the environment and the TOML file, as for ``gbs-actor serve``; Hypercorn's
own settings decide the address and TLS. One worker: a database has one server.
"""

from __future__ import annotations

import structlog

from gbs_actor.concurrency import exceptions_in
from gbs_actor.demo.secret import with_keys
from gbs_actor.server.hosted import HostedServer
from gbs_actor.server.hypercorn import prepare_worker
from gbs_actor.settings import Settings
from gbs_actor.socketio import with_lifespan
from gbs_actor.startup import configure, explain, print_error

_log = structlog.get_logger(__name__)


def _load() -> Settings:
    return with_keys(configure(), demo=False)


def _explain(error: BaseException) -> str:
    sentences = [explain(each) for each in exceptions_in(error)]
    if None in sentences:
        _log.error("The server does not start", exc_info=error)  # a bug: with its location
        return repr(error)
    return " ".join(sentence for sentence in sentences if sentence is not None)


def _failed(sentence: str) -> int:
    print_error(sentence)
    return 1


_server = HostedServer(_load)

app = with_lifespan(_server, _server.running, _explain)

prepare_worker(ending=_server.end, failed=_failed)
