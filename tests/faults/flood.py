"""Opens many HTTP connections at once, and reads each response to its end.

A program of its own, so that it takes no time from the clients whose edits are measured::

    python -m tests.faults.flood HOST PORT COUNT SOURCE[,SOURCE…] PATH TOKEN
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections import Counter

TIMEOUT = 60.0


def main(host: str, port: int, count: int, sources: list[str], *of: str) -> None:
    """Print how many connections had which outcome, and the seconds that all took.

    :param of: path and token of the requests.
    """
    path, token = of
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
        "Connection: close\r\n\r\n"
    ).encode()
    poll = select.epoll()
    waiting: dict[int, tuple[socket.socket, bytearray]] = {}
    began = time.monotonic()
    for number in range(count):
        connection = socket.socket()
        connection.setblocking(False)
        connection.bind((sources[number % len(sources)], 0))
        connection.connect_ex((host, port))
        waiting[connection.fileno()] = connection, bytearray()
        poll.register(connection, select.EPOLLOUT)
    outcomes: Counter[str] = Counter()
    while waiting and time.monotonic() < began + TIMEOUT:
        for descriptor, event in poll.poll(1):
            connection, response = waiting[descriptor]
            try:
                if event == select.EPOLLOUT:
                    connection.send(request)
                    poll.modify(descriptor, select.EPOLLIN)
                    continue
                received = connection.recv(65_536)
            except OSError:
                received = b""
            response += received
            if not received:
                outcomes[response[9:12].decode()] += 1
                del waiting[descriptor]
                connection.close()
    seconds = time.monotonic() - began
    sys.stdout.write(json.dumps({"seconds": seconds, "outcomes": outcomes}))


if __name__ == "__main__":
    host, port, count, sources, path, token = sys.argv[1:]
    main(host, int(port), int(count), sources.split(","), path, token)
