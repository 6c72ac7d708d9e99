"""Checks of the machine: port, descriptors, disk."""

from __future__ import annotations

import errno
import http.client
import json
import os
import resource
import shutil
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gbs_actor.server.checks.finding import Finding, error, ok, warning
from gbs_actor.server.descriptors import LEAST, descriptors_for
from gbs_actor.settings import ServerSettings, Settings

_TIMEOUT: Final = 3.0
"""Seconds that a running server may take to respond."""
_LOW_DISK: Final = 2**30
_FULL_DISK: Final = 100 * 2**20
"""Bytes. PostgreSQL stops if it cannot write another file of its log, of 16 MiB."""


@dataclass(frozen=True, slots=True)
class PortCheck:
    """Who has the port."""

    finding: Finding
    server_runs: bool | None
    """Whether a server of ours listens there; ``None``: it would be on another port."""


def check_port(settings: Settings) -> PortCheck:
    """Check whether the server could listen, or does so already. Blocks."""
    server = settings.server
    place = f"{server.host}:{server.port}"
    if server.port == 0:
        return PortCheck(ok("port", f"any free port of {server.host}"), None)
    try:
        _try_to_bind(server.host, server.port)
    except socket.gaierror as unknown:
        text = f"the address {server.host} is not known here: {unknown.strerror}"
        return PortCheck(error("port", text, "correct GBS_HOST"), False)
    except OSError as refused:
        if refused.errno == errno.EADDRINUSE:
            return _ask_who_listens(server, place)
        return PortCheck(_cannot_bind(refused, place), False)
    return PortCheck(ok("port", f"{place} is free"), False)


def check_admin_port(settings: Settings, server_runs: bool | None) -> list[Finding]:
    """Check whether the server could listen at ``admin_listen``, if that is set. Blocks.

    :param server_runs: then it has that port, and nothing is checked.
    """
    address, place = settings.admin.address, settings.admin.admin_listen
    if address is None or server_runs or address[1] == 0:
        return []
    try:
        _try_to_bind(*address)
    except OSError as refused:
        text = f"{place} cannot be used for /admin: {refused.strerror}"
        return [error("port", text, "free it, or set GBS_ADMIN_LISTEN to another one")]
    return [ok("port", f"{place} is free, for /admin")]


def _try_to_bind(host: str, port: int) -> None:
    """Bind to each address of the host as the server does, but do not listen.

    :raises OSError: an address cannot be bound to, or is in use by a listener.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as bound:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind(address)


def _cannot_bind(refused: OSError, place: str) -> Finding:
    advice = {
        errno.EACCES: "use a port from 1024 on, or grant CAP_NET_BIND_SERVICE "
        "(AmbientCapabilities= of systemd)",
        errno.EADDRNOTAVAIL: "set GBS_HOST to an address of this machine",
    }.get(refused.errno or 0, "")
    return error("port", f"{place} cannot be used: {refused.strerror}", advice)


def _ask_who_listens(server: ServerSettings, place: str) -> PortCheck:
    try:
        ready, message = _readiness(server)
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError):
        return PortCheck(
            error(
                "port",
                f"{place} is in use by another program",
                f"stop it (ss -ltnp 'sport = {server.port}' names it), or set GBS_PORT",
            ),
            False,
        )
    if ready:
        return PortCheck(ok("port", f"a server runs on {place}, and is ready"), True)
    text = f"the server that runs on {place} is not ready: {message}"
    return PortCheck(warning("port", text, "see its log"), True)


def _readiness(server: ServerSettings) -> tuple[bool, str]:
    """Ask a server of ours whether it is ready, and if not, why.

    :raises Exception: another program listens there, or none any more.
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host)  # noqa: S104
    connection: http.client.HTTPConnection
    if server.tls:
        # Of interest is who it is, not whether others can trust it.
        trusting = ssl.create_default_context()
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            host, server.port, timeout=_TIMEOUT, context=trusting
        )
    else:
        connection = http.client.HTTPConnection(host, server.port, timeout=_TIMEOUT)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        document = json.loads(response.read(65_536))
    finally:
        connection.close()
    if response.status == http.client.OK and document["status"] == "ready":
        return True, ""
    return False, str(document["message"])


def check_descriptors(settings: Settings) -> Finding:
    """Check the limit of descriptors of this process, as a server started here would have it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = descriptors_for(settings)
    if hard == resource.RLIM_INFINITY or needed <= hard:
        limit = "unlimited" if hard == resource.RLIM_INFINITY else f"{hard:,}"
        return ok("descriptors", f"{needed:,} are needed; the hard limit here is {limit}")
    text = f"{needed:,} are needed for max_connections and http_connections; the limit is {hard:,}"
    advice = "raise it (ulimit -Hn, or LimitNOFILE= of systemd), or lower max_connections"
    connections = hard - descriptors_for(settings, connections=0)
    if connections < LEAST:
        return error("descriptors", text, advice)
    return warning("descriptors", f"{text}, enough for {connections:,} connections", advice)


def check_disk(folder: Path | None) -> Finding:
    """Check the free space where the database is.

    :param folder: of the database; ``None``: it is on another machine, or hides its folder.
    """
    if folder is None:
        return ok("disk", "the database's disk cannot be seen from here")
    place = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    free = shutil.disk_usage(place).free
    text = f"{free / 2**30:,.1f} GiB are free for {folder}"
    if free < _FULL_DISK:
        return error("disk", text, "make room: without space no edit can be stored")
    if free < _LOW_DISK:
        return warning("disk", text, "make room, or lower history_days")
    return ok("disk", text)
