"""The site of a page, with an origin of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.file_site import served_files


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
    with served_files(files.get) as origin:
        yield origin
