"""Texts that an input method (IME) composes in the grid, while others change what it shows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.e2e.grid import GridPage, grid_page, served_grid

pytestmark = [pytest.mark.node, pytest.mark.browser]

CHURN = """
setInterval(() => {
  page.update(3, { memo: "남의 메모 " + performance.now(), full: performance.now() });
  page.grid.setCells(new Map([["3:memo", { status: "saving" }]]));
}, 5)
"""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with served_grid() as origin:
        yield origin


@asynccontextmanager
async def memo_selected(pages: int, origin: str) -> AsyncIterator[GridPage]:
    async with grid_page(pages, origin) as page:
        await page.select(3, "memo")
        yield page


async def compose(page: GridPage, *, end: bool = True) -> None:
    """Compose 한글 letter by letter, as a Korean keyboard does."""
    for text in ("ㅎ", "하", "한"):
        await page.browser.compose(text)
        await page.drawn()
    await page.browser.insert("한")
    for text in ("ㄱ", "그", "글"):
        await page.browser.compose(text)
        await page.drawn()
    if end:
        await page.browser.insert("글")


async def test_the_first_letter_on_a_selected_cell_is_composed(pages: int, origin: str) -> None:
    async with memo_selected(pages, origin) as page:
        await page.browser.compose("ㅎ")
        assert await page.editor() == "ㅎ"
        await compose(page)
        assert await page.editor() == "한글"
        await page.press("Enter")
        assert await page.events("edit") == [["edit", 3, "memo", "한글"]]
        await compose(page)
        await page.press("Enter")
        assert await page.events("edit") == [["edit", 4, "memo", "한글"]]


async def test_updates_of_the_row_lose_and_repeat_no_letter(pages: int, origin: str) -> None:
    async with memo_selected(pages, origin) as page:
        await page.browser.evaluate(CHURN)
        await compose(page)
        assert await page.editor() == "한글"
        assert (await page.call("text", 3, "memo")).startswith("남의 메모")
        await page.press("Enter")
        assert await page.events("edit") == [["edit", 3, "memo", "한글"]]


async def test_another_order_leaves_the_editor_at_its_row(pages: int, origin: str) -> None:
    async with memo_selected(pages, origin) as page:
        before = await page.call("box", 3, "memo")
        await page.browser.compose("ㅎ")
        await page.browser.evaluate("page.grid.setRows([...page.rows].reverse())")
        await compose(page, end=False)
        row = "document.querySelector('.grid-cell.active').parentElement"
        assert "메모 3:" in await page.browser.evaluate(f"{row}.innerText")
        editor = await page.browser.evaluate(
            "(({ x, y }) => [x, y])"
            "(document.querySelector('.grid-editor textarea').getBoundingClientRect())"
        )
        assert editor == [before["x"], before["y"]]
        await page.browser.insert("글")
        assert await page.editor() == "한글"
        await page.press("Enter")
        assert await page.events("edit") == [["edit", 3, "memo", "한글"]]
        await page.drawn()
        index = f"{row}.getAttribute('aria-rowindex')"
        assert await page.browser.evaluate(index) != "5"


async def test_a_row_that_others_remove_stays_until_its_edit_ends(pages: int, origin: str) -> None:
    async with memo_selected(pages, origin) as page:
        await page.browser.compose("ㅎ")
        await page.browser.evaluate("page.grid.setRows(page.rows.filter(({ id }) => id !== 3))")
        await compose(page)
        assert await page.editor() == "한글"
        await page.press("Escape")
        await page.drawn()
        shown = "document.querySelector('.grid-body').innerText.includes('메모 3:')"
        assert not await page.browser.evaluate(shown)


@pytest.mark.parametrize("key", ["Enter", "Escape", "Tab", "ArrowDown"])
async def test_a_key_that_the_input_method_has_does_nothing(
    pages: int, origin: str, key: str
) -> None:
    codes = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowDown": 40}
    async with memo_selected(pages, origin) as page:
        await compose(page, end=False)
        for code in (229, codes[key]):
            await page.browser.evaluate(
                f"""{{
                    const event = new KeyboardEvent("keydown", {{
                        key: "{key}", keyCode: {code}, isComposing: {str(code != 229).lower()},
                        bubbles: true, cancelable: true }});
                    document.activeElement.dispatchEvent(event);
                }}"""
            )
        assert await page.editor() == "한글"
        await page.browser.insert("글")
        assert await page.editor() == "한글"
        assert await page.events("edit") == []


async def test_a_click_elsewhere_ends_the_composition_and_commits_all_of_it(
    pages: int, origin: str
) -> None:
    async with memo_selected(pages, origin) as page:
        await compose(page, end=False)
        await page.click(5, "number")
        assert await page.events("edit") == [["edit", 3, "memo", "한글"]]
        assert await page.selection() == [5, "number", 1, 1]
        await page.type("12")
        await page.press("Enter")
        assert await page.events("edit") == [["edit", 5, "number", "12"]]


async def test_a_line_break_without_a_key_commits(pages: int, origin: str) -> None:
    async with memo_selected(pages, origin) as page:
        await compose(page)
        await page.browser.evaluate(
            """document.activeElement.dispatchEvent(new InputEvent("beforeinput", {
                inputType: "insertLineBreak", bubbles: true, cancelable: true }))"""
        )
        assert await page.events("edit") == [["edit", 3, "memo", "한글"]]
        assert await page.selection() == [4, "memo", 1, 1]


async def test_a_composition_that_is_taken_back_leaves_an_editor_to_cancel(
    pages: int, origin: str
) -> None:
    async with memo_selected(pages, origin) as page:
        await page.browser.compose("ㅎ")
        await page.browser.compose("")
        assert await page.editor() == ""
        await page.press("Escape")
        assert await page.events("edit") == []
        assert await page.text(3, "memo") == "메모 3: 늦게 도착합니다"


async def test_nothing_is_composed_in_a_cell_that_cannot_be_edited(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.select(3, "name")
        await compose(page)
        assert await page.editor() is None
        await page.press("ArrowDown", "Home")
        await page.type("12")
        assert await page.editor() == "12"


async def test_touch_selects_first_and_edits_then(pages: int, origin: str) -> None:
    async with grid_page(pages, origin, touch=True, width=390, height=740) as page:
        await page.select(2, "number")
        box = await page.call("box", 3, "number")
        point = {"x": box["x"] + 20, "y": box["y"] + 10}
        await page.browser.step("tap", **point)
        assert await page.selection() == [3, "number", 1, 1]
        keyboard = "document.activeElement.inputMode"
        assert await page.browser.evaluate(keyboard) == "none"
        await page.call("update", 3, {"full": 1})
        assert await page.browser.evaluate(keyboard) == "none"
        await page.browser.step("tap", **point)
        assert await page.editor() == "1"
        assert await page.browser.evaluate(keyboard) == "numeric"
        await page.type("2")
        await page.press("Enter")
        assert await page.events("edit") == [["edit", 3, "number", "12"]]
