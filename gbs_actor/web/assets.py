"""Static files of pages: read and compressed once, and served below a path with their hash.

Any change of any file gives all of them a new path, so that browsers may keep them for ever, and
the relative imports of the modules need no rewriting. No page is built: what is served is what is
in ``static`` and ``client``, but for bare imports such as ``from "preact"``, which get the path
of the file.
"""

from __future__ import annotations

import gzip
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from posixpath import dirname, join, normpath, relpath
from types import MappingProxyType
from typing import Final

_CONTENT_TYPES: Final = {
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
"""What is served, by the ending of the name; other files, such as licences, are not."""

BARE_IMPORTS: Final[Mapping[bytes, str]] = MappingProxyType(
    {
        b"preact": "vendor/preact/preact.mjs",
        b"preact/hooks": "vendor/preact/hooks.mjs",
        b"htm": "vendor/htm/htm.module.js",
        b"uplot": "vendor/uplot/uPlot.esm.js",
        b"socket.io-client": "vendor/socket.io-client/socket.io.esm.min.js",
    }
)
"""The file of each vendored module, by the name under which modules import it."""

CLIENT: Final = "client"
"""The folder of the client core; it lies beside ``static``, since it is a package of its own."""
_NOT_SERVED: Final = frozenset({f"{CLIENT}/react.js", f"{CLIENT}/node_modules"})
"""For users of the package: React and what was installed for its tests are not vendored."""

_BARE_IMPORT: Final = re.compile(rb'(\bfrom\s*|\bimport\s*)"([a-z][a-z./-]*)"')
_RELATIVE_IMPORT: Final = re.compile(r'\b(?:from|import)\s*"(\.[^"]+)"')
_COMMENT: Final = (b"*", b"/*", b"//")
"""What the lines of comments begin with."""
_COMPRESSIBLE: Final = 512
"""Bytes from which on compression saves a packet now and then."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file."""

    content_type: str
    body: bytes
    gzipped: bytes | None
    """``None``: it is not worth it."""
    etag: str
    """Without quotes."""

    @classmethod
    def of(cls, content_type: str, body: bytes) -> Asset:
        """Return a file of this content."""
        gzipped = gzip.compress(body, 9, mtime=0) if len(body) >= _COMPRESSIBLE else None
        return cls(content_type, body, gzipped, sha256(body).hexdigest()[:20])


class Assets:
    """The static files of some folders.

    :param folders: of ``static``, or :data:`CLIENT`, the most general first: style sheets are
        linked in this order.
    :raises LookupError: a module imports a bare name that is not in :data:`BARE_IMPORTS`.
    """

    def __init__(self, *folders: str) -> None:
        found = [file for folder in folders for file in _files_below(_folder(folder), folder)]
        self._assets = {
            path: Asset.of(content_type, _with_paths(path, body))
            for path, content_type, body in found
        }
        names = "".join(f"{path} {asset.etag}\n" for path, asset in self._assets.items())
        self.hash: Final = sha256(names.encode()).hexdigest()[:16]
        """Of all files, with their names."""
        self._reached: dict[str, Sequence[str]] = {}

    def get(self, hash_: str, path: str) -> Asset | None:
        """Return the file that is served under this path; ``None``: there is none."""
        return self._assets.get(path) if hash_ == self.hash else None

    def reached_from(self, path: str) -> Sequence[str]:
        """Return the paths of a module and of all that it imports, directly or not.

        What it imports only later, by ``import()``, is not among them.
        """
        if path not in self._reached:
            self._reached[path] = self._reach(path)
        return self._reached[path]

    def _reach(self, path: str) -> Sequence[str]:
        reached: dict[str, None] = {}
        pending = [path]
        while pending:
            module = pending.pop()
            if module not in reached and module in self._assets:
                reached[module] = None
                imports = _RELATIVE_IMPORT.findall(self._assets[module].body.decode())
                pending += [normpath(join(dirname(module), each)) for each in imports]
        return list(reached)

    def paths(self, ending: str) -> Sequence[str]:
        """Return the paths of all files whose names end so."""
        return [path for path in self._assets if path.endswith(ending)]


def page_of(assets: Assets, folder: str, *, below: str = "assets", options: str = "") -> Asset:
    """Return ``index.html`` of a folder, as it is sent.

    ``{assets}`` in it becomes the path of the assets, ``{styles}`` links to all style sheets,
    ``{modules}`` hints to load at once all modules that ``main.js`` imports: a browser else finds
    them import by import. ``{options}`` is the value of an attribute.

    :param below: the path below which the assets are served, relative to that of the page.
    :param options: what the page has to know of the server before it asks for anything.
    """
    base = f"{below}/{assets.hash}"
    styles = [f'<link rel="stylesheet" href="{base}/{path}">' for path in assets.paths(".css")]
    modules = [
        f'<link rel="modulepreload" href="{base}/{path}">'
        for path in assets.reached_from(f"{folder}/main.js")
    ]
    text = (_folder(folder) / "index.html").read_text("utf-8")
    for name, value in (
        ("{assets}", base),
        ("{styles}", "\n".join(styles)),
        ("{modules}", "\n".join(modules)),
        ("{options}", html.escape(options)),
    ):
        text = text.replace(name, value)
    return Asset.of("text/html; charset=utf-8", text.encode())


def _folder(name: str) -> Traversable:
    root = files(__package__)
    return root / name if name == CLIENT else root / "static" / name


def _files_below(folder: Traversable, path: str) -> list[tuple[str, str, bytes]]:
    found: list[tuple[str, str, bytes]] = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        below = f"{path}/{entry.name}"
        if below in _NOT_SERVED:
            continue
        content_type = _CONTENT_TYPES.get(entry.name.rpartition(".")[2])
        if entry.is_dir():
            found += _files_below(entry, below)
        elif content_type is not None:
            found.append((below, content_type, entry.read_bytes()))
    return found


def _with_paths(path: str, body: bytes) -> bytes:
    """Return a module with its bare imports as relative ones; other files as they are."""
    if not path.endswith(("js", "mjs")):
        return body

    def relative(found: re.Match[bytes]) -> bytes:
        line = body[body.rfind(b"\n", 0, found.start()) + 1 : found.start()]
        if line.lstrip().startswith(_COMMENT):
            return found[0]
        if (target := BARE_IMPORTS.get(found[2])) is None:
            raise LookupError(f"{path} imports {found[2].decode()}, which is not vendored")
        to = relpath(target, path.rpartition("/")[0])
        return found[1] + b'"' + (to if to.startswith(".") else f"./{to}").encode() + b'"'

    return _BARE_IMPORT.sub(relative, body)
