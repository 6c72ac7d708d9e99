"""Static files: their paths, and what is changed in them."""

from __future__ import annotations

import gzip
import re
from posixpath import dirname, join, normpath

import pytest

from gbs_actor.web import Assets, page_of
from gbs_actor.web.assets import BARE_IMPORTS, _with_paths

IMPORT = re.compile(r'(?:from|import)\s*"([@\w./-]+)"')


@pytest.fixture(scope="module")
def assets() -> Assets:
    return Assets("vendor", "shared", "admin")


def test_every_import_of_every_module_is_served(assets: Assets) -> None:
    for path in (*assets.paths(".js"), *assets.paths(".mjs")):
        asset = assets.get(assets.hash, path)
        assert asset is not None
        for target in IMPORT.findall(asset.body.decode()):
            assert target.startswith("."), f"{path} imports {target}"
            found = normpath(join(dirname(path), target))
            assert assets.get(assets.hash, found) is not None, f"{path} imports {target}"


def test_the_page_loads_what_is_served_and_nothing_twice(assets: Assets) -> None:
    page = page_of(assets, "admin").body.decode()
    targets = re.findall(r'(?:src|href)="assets/([0-9a-f]+)/([^"]+)"', page)
    assert all(assets.get(hash_, path) is not None for hash_, path in targets)
    preloaded = re.findall(r'modulepreload" href="([^"]+)"', page)
    assert len(preloaded) == len(set(preloaded))
    assert len(preloaded) == len(assets.paths("js")) - 1  # all but the classic script
    assert "{" not in page


def test_another_hash_has_no_files(assets: Assets) -> None:
    assert assets.get("0" * 16, "admin/main.js") is None
    assert assets.get(assets.hash, "admin/main.js") is not None


@pytest.mark.parametrize(
    "path",
    [
        "",
        "admin",
        "admin/index.html",
        "vendor/VENDORED.md",
        "../assets.py",
        "admin/../admin/main.js",
    ],
)
def test_what_is_no_static_file_is_not_served(assets: Assets, path: str) -> None:
    assert assets.get(assets.hash, path) is None


def test_the_hash_is_that_of_the_files() -> None:
    assert Assets("shared").hash == Assets("shared").hash
    assert Assets("shared").hash != Assets("admin").hash


def test_what_is_compressed_is_the_same(assets: Assets) -> None:
    for path in (*assets.paths(".js"), *assets.paths(".css")):
        asset = assets.get(assets.hash, path)
        assert asset is not None
        if asset.gzipped is not None:
            assert gzip.decompress(asset.gzipped) == asset.body


def test_bare_imports_become_relative_ones() -> None:
    body = b'import { h } from "preact";import"htm";export{x}from"./y.js"'
    assert _with_paths("shared/html.js", body) == (
        b'import { h } from "../vendor/preact/preact.mjs";'
        b'import"../vendor/htm/htm.module.js";export{x}from"./y.js"'
    )
    assert _with_paths("vendor/preact/hooks.mjs", b'from"preact"') == b'from"./preact.mjs"'


def test_a_bare_import_that_is_not_vendored_stops_the_start() -> None:
    with pytest.raises(LookupError, match=r"shared/a\.js imports react"):
        _with_paths("shared/a.js", b'import { h } from "react";')


def test_every_vendored_module_exists(assets: Assets) -> None:
    for path in BARE_IMPORTS.values():
        assert assets.get(assets.hash, path) is not None
