"""Static files: their paths, and what is changed in them."""

from __future__ import annotations

import gzip
import re
from posixpath import dirname, join, normpath

import pytest

from gbs_actor.web import Assets, page_of
from gbs_actor.web.assets import BARE_IMPORTS, _with_paths

IMPORT = re.compile(r'(?:from|import)\s*"([@\w./-]+)"')
COMMENT = re.compile(r"(?m)^\s*(?:\*|//|/\*).*")
PAGES = {
    "admin": Assets("vendor", "shared", "admin"),
    "lineup": Assets("vendor", "shared", "client", "lineup"),
}


@pytest.fixture
def assets() -> Assets:
    return PAGES["admin"]


@pytest.mark.parametrize("assets", PAGES.values(), ids=PAGES.keys())
def test_every_import_of_every_module_is_served(assets: Assets) -> None:
    for path in (*assets.paths(".js"), *assets.paths(".mjs")):
        asset = assets.get(assets.hash, path)
        assert asset is not None
        for target in IMPORT.findall(COMMENT.sub("", asset.body.decode())):
            assert target.startswith("."), f"{path} imports {target}"
            found = normpath(join(dirname(path), target))
            assert assets.get(assets.hash, found) is not None, f"{path} imports {target}"


@pytest.mark.parametrize("name", PAGES)
def test_the_page_loads_what_is_served_and_nothing_twice(name: str) -> None:
    assets = PAGES[name]
    page = page_of(assets, name).body.decode()
    targets = re.findall(r'(?:src|href)="assets/([0-9a-f]+)/([^"]+)"', page)
    assert all(assets.get(hash_, path) is not None for hash_, path in targets)
    preloaded = re.findall(r'modulepreload" href="([^"]+)"', page)
    assert len(preloaded) == len(set(preloaded))
    assert len(preloaded) == len(assets.reached_from(f"{name}/main.js")) > 5
    assert "{" not in page


def test_a_page_loads_what_it_needs_at_once_and_nothing_else() -> None:
    admin, lineup = PAGES["admin"], PAGES["lineup"]
    unused = set(admin.paths("js")) - set(admin.reached_from("admin/main.js"))
    assert unused == {"shared/theme.classic.js", "vendor/socket.io-client/socket.io.esm.min.js"}
    reached = lineup.reached_from("lineup/main.js")
    assert {"lineup/main.js", "lineup/app.js", "vendor/preact/hooks.mjs"} <= set(reached)
    assert "vendor/uplot/uPlot.esm.js" not in reached


def test_the_options_of_a_page_are_the_value_of_an_attribute() -> None:
    page = page_of(PAGES["lineup"], "lineup", options='{"a": "<b> & \'c\'"}').body.decode()
    assert 'content="{&quot;a&quot;: &quot;&lt;b&gt; &amp; &#x27;c&#x27;&quot;}"' in page


def test_a_page_below_another_path_finds_its_files() -> None:
    page = page_of(PAGES["lineup"], "lineup", below="../assets").body.decode()
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert links
    assert all(link.startswith(f"../assets/{PAGES['lineup'].hash}/") for link in links)


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
    assert _with_paths("client/a.js", b'from "socket.io-client"') == (
        b'from "../vendor/socket.io-client/socket.io.esm.min.js"'
    )


@pytest.mark.parametrize("begin", [b" * ", b"// ", b"/** ", b"  //"])
def test_an_import_in_a_comment_stays(begin: bytes) -> None:
    line = begin + b'import { useLineup } from "gbs-lineup";'
    assert _with_paths("client/a.js", b"x();\n" + line) == b"x();\n" + line


def test_a_bare_import_that_is_not_vendored_stops_the_start() -> None:
    with pytest.raises(LookupError, match=r"shared/a\.js imports react"):
        _with_paths("shared/a.js", b'import { h } from "react";')


def test_every_vendored_module_exists(assets: Assets) -> None:
    for path in BARE_IMPORTS.values():
        assert assets.get(assets.hash, path) is not None
