"""Static files of pages: read and compressed once, and served below a path with their hash.

Any change of any file gives all of them a new path, so that browsers may keep them for ever, and
the relative imports of the modules need no rewriting. No page is built: what is served is what is
in ``static``, but for bare imports such as ``from "preact"``, which get the path of the file.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from posixpath import relpath
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
    }
)
"""The file of each vendored module, by the name under which modules import it."""

_BARE_IMPORT: Final = re.compile(rb'(\bfrom\s*|\bimport\s*)"([a-z][a-z/]*)"')
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

    :param folders: of ``static``, the most general first: style sheets are linked in this order.
    :raises LookupError: a module imports a bare name that is not in :data:`BARE_IMPORTS`.
    """

    def __init__(self, *folders: str) -> None:
        root = files(__package__) / "static"
        found = [file for folder in folders for file in _files_below(root / folder, folder)]
        self._assets = {
            path: Asset.of(content_type, _with_paths(path, body))
            for path, content_type, body in found
        }
        names = "".join(f"{path} {asset.etag}\n" for path, asset in self._assets.items())
        self.hash: Final = sha256(names.encode()).hexdigest()[:16]
        """Of all files, with their names."""

    def get(self, hash_: str, path: str) -> Asset | None:
        """Return the file that is served under this path; ``None``: there is none."""
        return self._assets.get(path) if hash_ == self.hash else None

    def paths(self, ending: str) -> Sequence[str]:
        """Return the paths of all files whose names end so."""
        return [path for path in self._assets if path.endswith(ending)]


def page_of(assets: Assets, folder: str) -> Asset:
    """Return ``index.html`` of a folder, as it is sent.

    ``{assets}`` in it becomes the relative path below which the assets are served, ``{styles}``
    links to all style sheets, and ``{modules}`` hints to load all modules at once: a browser else
    finds them import by import.
    """
    base = f"assets/{assets.hash}"
    styles = [f'<link rel="stylesheet" href="{base}/{path}">' for path in assets.paths(".css")]
    modules = [
        f'<link rel="modulepreload" href="{base}/{path}">'
        for path in (*assets.paths(".js"), *assets.paths(".mjs"))
        if not path.endswith(".classic.js")
    ]
    text = (files(__package__) / "static" / folder / "index.html").read_text("utf-8")
    for name, value in (
        ("{assets}", base),
        ("{styles}", "\n".join(styles)),
        ("{modules}", "\n".join(modules)),
    ):
        text = text.replace(name, value)
    return Asset.of("text/html; charset=utf-8", text.encode())


def _files_below(folder: Traversable, path: str) -> list[tuple[str, str, bytes]]:
    found: list[tuple[str, str, bytes]] = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        below = f"{path}/{entry.name}"
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
        if (target := BARE_IMPORTS.get(found[2])) is None:
            raise LookupError(f"{path} imports {found[2].decode()}, which is not vendored")
        to = relpath(target, path.rpartition("/")[0])
        return found[1] + b'"' + (to if to.startswith(".") else f"./{to}").encode() + b'"'

    return _BARE_IMPORT.sub(relative, body)
