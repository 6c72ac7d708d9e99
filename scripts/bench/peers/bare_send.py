"""A bare loop of ``send``: one ready-made frame to every socket; the limit of any server.

It stores nothing, checks nothing and knows one room. A handshake, and acks, are as much of
Socket.IO as the load generator needs. PORT.
"""

from __future__ import annotations

import base64
import hashlib
import os
import selectors
import socket
import struct

NAMESPACE = b"/gbs-lineup"
PADDING = b"x" * 640
"""Makes an update as long as a row of the other servers."""
ROW = b'42%b,["lineup-updated",{"lineupMemo":"%b","padding":"%b"}]'


def frame(payload: bytes) -> bytes:
    """Return a server's text frame."""
    if len(payload) < 126:
        return struct.pack("!BB", 0x81, len(payload)) + payload
    return struct.pack("!BBH", 0x81, 126, len(payload)) + payload


def switching_protocols(request: bytes) -> bytes:
    """Return the response to the WebSocket's handshake (RFC 6455 §4.2.2)."""
    key = request.lower().partition(b"sec-websocket-key:")[0]
    value = request[len(key) :].partition(b":")[2].partition(b"\r\n")[0].strip()
    digest = hashlib.sha1(value + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )


class BareServer:
    """Accepts, and sends what it is sent to all."""

    def __init__(self, port: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=4_096)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._subscribers: dict[int, socket.socket] = {}

    def run(self) -> None:
        """Serve until the process ends."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    assert isinstance(key.fileobj, socket.socket)
                    self._read(key.fileobj)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(65_536)
        except ConnectionResetError:
            data = b""
        if not data:
            self._selector.unregister(connection)
            self._subscribers.pop(connection.fileno(), None)
            connection.close()
        elif data.startswith(b"GET"):
            connection.send(switching_protocols(data) + frame(b'0{"sid":"bare"}'))
        else:
            # The load generator's mask is zero, and it sends a frame at a time.
            self._take(connection, data[8 if data[1] & 127 == 126 else 6 :])

    def _take(self, connection: socket.socket, packet: bytes) -> None:
        if packet.startswith(b"40"):
            connection.send(frame(b"40" + NAMESPACE + b',{"sid":"bare"}'))
        elif packet.startswith(b"42"):
            ack_id, _, event = packet[len(NAMESPACE) + 3 :].partition(b"[")
            if event.startswith(b'"join-retreat"'):
                self._subscribers[connection.fileno()] = connection
            else:
                memo = event.partition(b'"memo":"')[2].partition(b'"')[0]
                update = frame(ROW % (NAMESPACE, memo, PADDING))
                for subscriber in self._subscribers.values():
                    subscriber.send(update)
            connection.send(frame(b"43" + NAMESPACE + b"," + ack_id + b'[{"status":"OK"}]'))


if __name__ == "__main__":
    BareServer(int(os.environ["PORT"])).run()
