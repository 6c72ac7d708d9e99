"""The client as a package: somebody else's React app installs it, is built, and works."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

import pytest
import trio

from gbs_actor.client import connect
from tests.e2e.browser_page import BrowserPage, browser_page
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token
from tests.node_packages import node_and_npm
from tests.web.workshop import HERE, tool, workshop

pytestmark = pytest.mark.node


def npm(folder: Path, *arguments: str) -> str:
    _, command = node_and_npm()
    quiet = ["--no-audit", "--no-fund"]
    result = subprocess.run(
        [command, *arguments, *quiet], cwd=folder, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{arguments}\n{result.stdout}\n{result.stderr}"
    return result.stdout.strip()


@pytest.fixture(scope="module")
def app(pytestconfig: pytest.Config) -> Iterator[Path]:
    """An app that has installed the packed client."""
    with workshop(pytestconfig) as folder:
        app = folder / "app"
        shutil.copytree(HERE / "app", app)
        archive = npm(folder / "client", "pack", "--silent").splitlines()[-1]
        npm(app, "install", "--ignore-scripts", str(folder / "client" / archive))
        yield app


def test_the_package_has_its_modules_and_their_types(app: Path) -> None:
    package = app / "node_modules" / "gbs-lineup-client"
    for name in ("index", "react", "visibility"):
        assert (package / f"{name}.js").exists()
        assert (package / "types" / f"{name}.d.ts").exists()
    assert (package / "README.md").exists()
    assert not (package / "tsconfig.json").exists()


def test_an_app_that_uses_it_has_no_wrong_types(app: Path) -> None:
    result = tool(app, "tsc")
    assert result.returncode == 0, result.stdout


def test_wrong_uses_of_it_are_found(app: Path) -> None:
    wrong = app / "wrong.ts"
    wrong.write_text(
        'import type { LineupClient } from "gbs-lineup-client";\n'
        'export const wrong = (client: LineupClient) => client.assignNumber("1", 2);\n'
    )
    options = ["--strict", "--noEmit", "--module", "esnext", "--moduleResolution", "bundler"]
    result = tool(app, "tsc", "--ignoreConfig", "--lib", "es2023,dom", *options, "wrong.ts")
    assert "'string' is not assignable to parameter of type 'number'" in result.stdout


@pytest.fixture(scope="module")
def site(app: Path) -> Iterator[str]:
    """The origin of the built app."""
    result = tool(app, "vite", "build", "--logLevel", "warn")
    assert result.returncode == 0, result.stderr
    with served(app / "dist") as origin:
        yield origin


@pytest.fixture(scope="module")
def server(site: str) -> Iterator[ServerProcess]:
    with running_server(environment={"GBS_ALLOWED_ORIGINS": site}) as running:
        yield running


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder for the time of a block; yield its origin."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep quiet."""

    handler = partial(Handler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        thread = threading.Thread(target=site.serve_forever, name="app")
        thread.start()
        try:
            yield f"http://127.0.0.1:{site.server_port}"
        finally:
            site.shutdown()
            thread.join()


async def say(page: BrowserPage, button: str, expected: str) -> None:
    """Press a button, and wait for what the form says then."""
    await page.click(f"#{button}")
    await page.until(f"document.querySelector('output').textContent === {expected!r}")


@pytest.mark.browser
async def test_the_app_shows_the_list_and_edits_it(
    pages: int, site: str, server: ServerProcess
) -> None:
    path = f"/api/v1/retreat/{RETREAT}/line-up/user-lineups"
    rows = server.get(path, token())["userRetreatGbsLineups"]
    people = [row for row in rows if not row["isLeader"] and not row["lineupMemo"]]
    one = people[0]["id"]
    other = next(row["id"] for row in people if row["gbsNumber"] != people[0]["gbsNumber"])
    query = urlencode({"url": server.url, "token": token(7), "id": one})
    async with browser_page(pages) as page:
        await page.goto(f"{site}/?{query}")
        await page.until("document.querySelectorAll('tr').length === 80")
        await page.see("table[data-state=live]")
        await page.see("p[data-connected=true][data-loading=false]")

        renderings = f"Number(document.querySelector('#row-{one}').dataset.renderings)"
        before = await page.evaluate(renderings)
        async with connect(server.url, token(8)) as client:
            await client.join(RETREAT)
            await client.assign(other, 4_000)
            await page.until(f"document.querySelector('#row-{other}').innerText === '4000'")
            assert await page.evaluate(renderings) == before

            await say(page, "assign", "4321 ")
            with trio.fail_after(30):
                await client.until(lambda it: it.row(one).gbs_number == 4321)  # type: ignore[union-attr]
        # Two components, each mounted twice by StrictMode, have one connection.
        users = [subscriber["userId"] for subscriber in server.room()["subscribers"]]
        assert users.count(7) == 1
        await say(page, "lead", "VALIDATION_FAILED")
        await say(page, "write", "4321 새 메모")
        await say(page, "rewrite", "4321 다른 메모")
        await say(page, "delete", "4321 ")
        assert await page.problems() == []
