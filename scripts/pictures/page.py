"""The line-up page in two windows while two people edit: ``page.webp``, which opens the README.

    python -m scripts.pictures.page

It needs Chromium, Node.js and npm, as the tests of the page do.
"""

from __future__ import annotations

import base64
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import trio

from scripts.browser import a_browser
from tests.e2e.browser_page import browser_page
from tests.e2e.lineup_page import LineupPage, in_view, lineup_page, rows_of
from tests.e2e.server_process import ServerProcess, running_server

HERE: Final = Path(__file__).parent
PICTURE: Final = HERE / "page.webp"
SIZE: Final[dict[str, Any]] = {"width": 1250, "height": 446}
"""Of a window, in CSS pixels."""
SCALE: Final = 2
MOST_BYTES: Final = 200_000


def main() -> None:
    with a_browser() as pages, running_server() as server:
        picture = trio.run(take, pages, server)
    if len(picture) > MOST_BYTES:
        sys.exit(f"the picture has {len(picture):,} bytes, more than {MOST_BYTES:,}")
    PICTURE.write_bytes(picture)
    print(f"{PICTURE}: {len(picture):,} bytes")


async def take(pages: int, server: ServerProcess) -> bytes:
    """Return the picture, as WebP."""
    async with (
        lineup_page(pages, server, user_id=12, name="이바다", scale=SCALE, **SIZE) as one,
        lineup_page(
            pages, server, user_id=11, name="김하늘", scheme="dark", scale=SCALE, **SIZE
        ) as other,
    ):
        shots = await edit_and_look(one, other, server)
    async with browser_page(pages) as blank:
        await blank.goto("about:blank")
        frame = {**SIZE, "margin": 26, "bar": 26, "scale": SCALE}
        drawn = await blank.evaluate(
            f"({(HERE / 'page.js').read_text()})({json.dumps(shots)}, {json.dumps(frame)})"
        )
    return base64.b64decode(drawn.partition(",")[2])


async def edit_and_look(
    one: LineupPage, other: LineupPage, server: ServerProcess
) -> list[dict[str, object]]:
    """Have one assign a person while the other writes a memo; return what both see."""
    people = in_view(rows_of(server))
    assigned, noted, described = people[1], people[4], people[2]
    await one.enter(described, "lineupMemo", "둘째 날 합류, 찬양팀")
    await one.begin(described, "lineupMemo", "찬양팀, 둘째 날 점심부터")
    await one.press("Alt+4")
    await one.press("Enter")
    await other.see(".people:has-text('이바다')")
    await other.begin(noted, "lineupMemo", "친구와 같은 조로 부탁함")
    await other.press("Alt+6")
    await one.until_reads("person", noted, "lineupMemo", "김하늘 편집 중")
    await one.enter(assigned, "gbsNumber", "2")
    await other.until_reads("person", assigned, "gbsNumber", "이바다 변경")
    return [
        {"data": await shot(page), "dark": dark} for page, dark in ((other, True), (one, False))
    ][::-1]


async def shot(page: LineupPage) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shot.png"
        await page.browser.step("screenshot", path=str(path), moving=True)
        return base64.b64encode(path.read_bytes()).decode()


if __name__ == "__main__":
    main()
