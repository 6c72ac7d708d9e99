"""The site of a page, with an origin of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def served_page(folder: Path) -> Iterator[str]:
    """Serve the page that runs the stock client for the time of a block; yield its origin.

    The host is the server's, so that its cookies are the page's, too (RFC 6265 §8.5: they
    do not tell ports apart); the port is another, so it is another origin.

    :param folder: of the drivers, with the client's packages installed.
    """
    files = {
        "/": (folder / "page.html", "text/html"),
        "/client.mjs": (folder / "client.mjs", "text/javascript"),
        "/socket.io.min.js": (
            folder / "node_modules" / "socket.io-client" / "dist" / "socket.io.min.js",
            "text/javascript",
        ),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path not in files:
                self.send_error(404)
                return
            file, content_type = files[self.path]
            body = file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as site:
        thread = threading.Thread(target=site.serve_forever, name="page")
        thread.start()
        try:
            yield f"http://127.0.0.1:{site.server_port}"
        finally:
            site.shutdown()
            thread.join()
