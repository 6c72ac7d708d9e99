"""Files served over HTTP, at an origin of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType

_NONE: Mapping[str, str] = MappingProxyType({})


@contextmanager
def served_files(
    file_at: Callable[[str], tuple[Path, str] | None], headers: Mapping[str, str] = _NONE
) -> Iterator[str]:
    """Serve files for the time of a block; yield the origin.

    :param file_at: returns the file at a path of a request, and its content type.
    :param headers: of each file, in addition.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = file_at(self.path)
            if found is None:
                self.send_error(404)
                return
            file, content_type = found
            body = file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as site:
        thread = threading.Thread(target=site.serve_forever, name="files")
        thread.start()
        try:
            yield f"http://127.0.0.1:{site.server_port}"
        finally:
            site.shutdown()
            thread.join()
