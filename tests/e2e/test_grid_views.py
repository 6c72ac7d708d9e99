"""What the grid shows, to eyes and to assistive technology, in a real browser."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.grid import GridPage, grid_page, served_grid

pytestmark = [pytest.mark.node, pytest.mark.browser]

SHOTS = os.environ.get("GRID_SHOTS")
"""A folder for pictures, if somebody wants to look at them."""
SIZES = {"desk": (1280, 860), "phone": (360, 740), "zoomed": (640, 430)}
"""``zoomed``: what a page at 200 % has of the desk."""
HOSTILE = "<img src=x onerror=alert(1)>\u202e\u200b" + "가" * 400
OTHERS = [
    {"id": 2, "key": "memo", "name": "이서준", "colour": "#d0620b"},
    {"id": 4, "key": "number", "name": "박지우", "colour": "#0f8a7e"},
]
STATUSES = {
    "1:number": {"status": "saving"},
    "2:number": {"status": "saved"},
    "3:number": {"status": "failed", "reason": "다른 사람이 먼저 바꿨습니다"},
    "5:memo": {"status": "waiting"},
}


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with served_grid() as origin:
        yield origin


async def show_others(page: GridPage) -> None:
    """Have others edit and change cells, and edits in every state."""
    await page.call("grid.setMarks", OTHERS)
    await page.browser.evaluate(
        f"page.grid.setCells(new Map(Object.entries({json.dumps(STATUSES)})))"
    )
    await page.call("grid.flash", 6, "memo", "최도윤", "#2563d8")
    await page.drawn()


async def rows_drawn(page: GridPage) -> list[int]:
    """Return the indices of the rows in the document, in its order; the first is 2."""
    found: list[int] = await page.browser.evaluate(
        "[...document.querySelectorAll('.grid-row:not([hidden])')]"
        ".map((row) => Number(row.getAttribute('aria-rowindex')))"
    )
    return found


async def test_of_many_rows_those_in_view_are_drawn(pages: int, origin: str) -> None:
    async with grid_page(pages, origin, "rows=2000") as page:
        scroller = "document.querySelector('.grid-scroller')"
        for top in (0, 31_000, 100, 63_000, 20_000):
            await page.browser.evaluate(f"{scroller}.scrollTop = {top}")
            await page.drawn()
            drawn = await rows_drawn(page)
            assert len(drawn) == len(set(drawn)) < 60
            high = await page.browser.evaluate(f"{scroller}.clientHeight")
            in_view = range(top // 32 + 2, (top + high - 33) // 32 + 2)
            assert set(in_view) <= set(drawn)
        count = "document.querySelectorAll('.grid-row').length"
        assert await page.browser.evaluate(count) < 60


async def test_rows_are_in_their_order_in_the_document_once_the_scroll_ends(
    pages: int, origin: str
) -> None:
    async with grid_page(pages, origin, "rows=2000") as page:
        rows = "[...document.querySelectorAll('.grid-row:not([hidden])')]"
        index = "Number(row.getAttribute('aria-rowindex'))"
        # Right behind the drawing: a moment later they are in order.
        drawn: list[int] = await page.browser.evaluate(
            "new Promise((done) => {"
            "  const scroller = document.querySelector('.grid-scroller');"
            "  const observer = new MutationObserver(() => {"
            f"    observer.disconnect(); done({rows}.map((row) => {index}));"
            "  });"
            "  observer.observe(scroller, { attributes: true, subtree: true });"
            "  scroller.scrollTop = 300;"
            "})"
        )
        assert drawn != sorted(drawn)
        await page.browser.until(
            f"{rows}.every((row, at, all) => at === 0 || {index} > "
            f"Number(all[at - 1].getAttribute('aria-rowindex')))"
        )


async def test_rows_that_are_the_same_object_are_not_drawn_again(pages: int, origin: str) -> None:
    async with grid_page(pages, origin, "render") as page:
        before = await page.browser.evaluate("page.drawn")
        await page.call("update", 3, {"memo": "another"})
        await page.call("update", 4, {"memo": "another"})
        await page.call("update", 150, {"memo": "out of view"})
        await page.drawn()
        await page.call("grid.focusCell", 5, "memo")
        await show_others(page)
        assert await page.browser.evaluate("page.drawn") == before + 2
        await page.browser.evaluate("page.setRows([...page.rows.slice(1), page.rows[0]])")
        await page.drawn()
        assert await page.browser.evaluate("page.drawn") <= before + 3


async def test_the_active_row_is_in_the_document_wherever_the_grid_is_scrolled(
    pages: int, origin: str
) -> None:
    async with grid_page(pages, origin, "rows=2000") as page:
        await page.select(3, "memo")
        await page.browser.evaluate("document.querySelector('.grid-scroller').scrollTop = 40000")
        await page.drawn()
        described = (
            "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))"
        )
        assert "메모 3" in await page.browser.evaluate(f"{described}.innerText")
        await page.press("ArrowDown")
        await page.drawn()
        scrolled = await page.browser.evaluate("document.querySelector('.grid-scroller').scrollTop")
        assert scrolled < 200


async def test_a_pinned_row_stays_at_its_place(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        before = await page.call("box", 3, "memo")
        await page.call("grid.pin", 3)
        await page.browser.evaluate("page.grid.setRows([...page.rows].reverse())")
        await page.drawn()
        place = (
            "(({ x, y }) => [x, y])([...document.querySelectorAll('.grid-row:not([hidden])')]"
            ".find((row) => row.innerText.includes('메모 3:'))"
            "?.querySelector('[aria-colindex=\"4\"]').getBoundingClientRect() ?? {})"
        )
        assert await page.browser.evaluate(place) == [before["x"], before["y"]]
        await page.call("grid.pin", None)
        await page.drawn()
        assert await page.browser.evaluate(place) == [None, None]


async def test_grid_says_where_each_cell_is_and_what_can_be_done_with_it(
    pages: int, origin: str
) -> None:
    async with grid_page(pages, origin, "rows=2000") as page:
        await page.select(1500, "memo")
        attributes = "['aria-rowcount', 'aria-colcount', 'aria-readonly', 'aria-label']"
        assert await page.browser.evaluate(
            f"{attributes}.map((name) => document.querySelector('[role=grid]').getAttribute(name))"
        ) == ["2001", "20", "false", "라인업"]
        cell = (
            "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))"
        )
        assert await page.browser.evaluate(
            f"[{cell}.getAttribute('aria-colindex'), {cell}.parentElement.ariaRowIndex,"
            f" {cell}.ariaSelected, {cell}.ariaReadOnly]"
        ) == ["4", "1502", "true", None]
        await page.select(1500, "name")
        assert await page.browser.evaluate(f"[{cell}.role, {cell}.ariaReadOnly]") == [
            "rowheader",
            "true",
        ]
        assert await page.browser.evaluate("document.activeElement.readOnly")


async def test_others_and_states_are_told_by_words_and_not_by_colour_alone(
    pages: int, origin: str
) -> None:
    async with grid_page(pages, origin) as page:
        await show_others(page)

        async def words(row: int, column: str) -> str:
            cell = f"page.cell({row}, '{column}')"
            found: str = await page.browser.evaluate(f"{cell}.textContent")
            return found

        assert "최도윤 변경함" in await words(6, "memo")  # for two seconds
        assert "이서준 편집 중" in await words(2, "memo")
        assert "저장 실패: 다른 사람이 먼저 바꿨습니다" in await words(3, "number")
        await page.browser.until("!page.cell(6, 'memo').textContent.includes('최도윤')")
        await page.call("grid.setMarks", OTHERS[:1])
        await page.browser.evaluate("page.grid.setCells(new Map())")
        await page.drawn()
        assert await words(4, "number") == "1"
        assert await words(3, "number") == "1"
        assert "이서준" in await words(2, "memo")


async def test_notes_hang_below_their_cells_and_keep_the_focus(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.call("setNotes", [[5, "memo"], [9, "number"]])
        await page.drawn()

        async def place(at: str) -> tuple[float, float]:
            box = await page.browser.evaluate(f"{at}.getBoundingClientRect().toJSON()")
            return box["x"], box["y"]

        async def below(row: int, column: str) -> tuple[float, float]:
            box = await page.call("box", row, column)
            return box["x"], box["y"] + box["height"]

        memo, number = (f"document.querySelectorAll('.banner')[{index}]" for index in (0, 1))
        assert await place(memo) == await below(5, "memo")
        assert await place(number) == await below(9, "number")
        await page.browser.evaluate(f"{memo}.querySelector('button').focus()")
        await page.browser.evaluate("page.setRows(page.rows.filter((row) => row.id % 4 === 1))")
        await page.call("setNotes", [[5, "memo"]])
        await page.drawn()
        assert await place(memo) == await below(5, "memo")
        assert await page.browser.evaluate("document.activeElement.tagName") == "BUTTON"
        assert await page.browser.axe() == []
        await page.browser.evaluate("page.setRows(page.rows.filter((row) => row.id !== 5))")
        await page.drawn()
        assert not await page.browser.evaluate(f"{memo}.checkVisibility()")
        await page.call("setNotes", [])
        assert await page.browser.evaluate(f"{memo} === undefined")


async def test_what_is_below_the_editor_comes_into_view_with_it(pages: int, origin: str) -> None:
    async with grid_page(pages, origin, "panel") as page:
        for row in (20, 199):
            await page.select(row, "memo")
            await page.press("F2")
            await page.drawn()
            swatch = "document.querySelector('.swatch').getBoundingClientRect().bottom"
            edge = "document.querySelector('.grid-scroller').getBoundingClientRect().bottom"
            assert await page.browser.evaluate(f"{swatch} <= {edge}")
            await page.press("Escape")


async def test_assistive_technology_selects_and_edits_by_clicks_without_a_pointer(
    pages: int, origin: str
) -> None:
    async with grid_page(pages, origin) as page:
        await page.browser.evaluate("page.cell(3, 'memo').click()")
        assert await page.selection() == [3, "memo", 1, 1]
        await page.browser.evaluate("page.cell(3, 'memo').click()")
        assert await page.editor() == "메모 3: 늦게 도착합니다"


async def test_updates_leave_the_focus_where_it_is(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.select(3, "memo")
        await page.call("reverse")
        await page.browser.evaluate("page.grid.setColumns(page.columns.slice(1))")
        await page.drawn()
        assert await page.browser.evaluate("document.activeElement.tagName") == "TEXTAREA"
        assert "메모 3:" in await page.browser.text(".grid-cell.active")


async def test_who_may_only_read_has_no_editor_but_the_keys(pages: int, origin: str) -> None:
    async with grid_page(pages, origin, "readonly") as page:
        assert await page.browser.evaluate("document.querySelector('textarea')") is None
        await page.click(3, "memo", times=2)
        await page.press("ArrowDown", "Shift+ArrowDown", "Control+c", "Delete", "F2", "x", " ")
        assert await page.selection() == [4, "memo", 2, 1]
        assert await page.browser.evaluate("page.copied") == "\n"
        assert await page.events("edit", "editing", "delete", "open") == [["open", 3, "memo"]]
        assert await page.browser.axe() == []


async def test_who_may_no_longer_edit_loses_the_editor_and_not_the_place(
    pages: int, origin: str
) -> None:
    async with grid_page(pages, origin) as page:
        await page.select(3, "memo")
        await page.type("too late")
        await page.call("grid.setReadOnly", True)
        assert await page.browser.evaluate("document.querySelector('textarea')") is None
        await page.press("ArrowDown")
        assert await page.selection() == [4, "memo", 1, 1]
        await page.call("grid.setReadOnly", False)
        await page.type("again")
        await page.press("Enter")
        assert await page.events("edit") == [["edit", 4, "memo", "again"]]


async def test_hostile_texts_harm_nothing(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.call("update", 3, {"memo": HOSTILE, "name": HOSTILE, "number": HOSTILE})
        await page.call("grid.setMarks", [{**OTHERS[0], "name": HOSTILE}])
        await page.call("grid.flash", 4, "memo", HOSTILE, "red; background: url(//elsewhere)")
        await page.select(3, "memo")
        await page.press("F2")
        await page.drawn()
        assert await page.editor() == HOSTILE
        assert await page.text(3, "name") == HOSTILE
        assert (await page.call("box", 3, "memo"))["height"] == 32
        assert await page.browser.evaluate("document.querySelector('img')") is None


async def test_destroyed_grid_leaves_nothing(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.select(3, "memo")
        await show_others(page)
        await page.call("grid.destroy")
        await page.drawn()
        assert await page.browser.evaluate("document.getElementById('grid').childElementCount") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
async def test_grid_is_accessible_and_fits(pages: int, origin: str, size: str, scheme: str) -> None:
    width, height = SIZES[size]
    async with grid_page(pages, origin, "panel", width=width, height=height, scheme=scheme) as page:
        await page.call("grid.setMarks", [])
        assert await page.browser.axe() == []
        await page.select(8, "memo")
        await page.press("Shift+ArrowDown", "Shift+ArrowRight")
        await show_others(page)
        await picture(page, f"others-{size}-{scheme}")
        assert await page.browser.axe() == []
        await page.call("setNotes", [[1, "memo"]])
        await page.drawn()
        await picture(page, f"note-{size}-{scheme}")
        await page.call("setNotes", [])
        await page.select(3, "number")
        await page.type("12a")
        await page.press("Enter")
        await page.drawn()
        await picture(page, f"refused-{size}-{scheme}")
        assert await page.browser.axe() == []
        await page.press("Escape")
        await page.select(9, "memo")
        await page.press("F2")
        await page.drawn()
        await picture(page, f"memo-{size}-{scheme}")
        assert await page.browser.axe() == []
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.browser.evaluate(wide) <= 0


async def test_number_and_name_stay_in_view_on_a_phone(pages: int, origin: str) -> None:
    async with grid_page(pages, origin, width=360, height=740) as page:
        await page.select(3, "s9")
        lefts = {column: (await page.call("box", 3, column))["x"] for column in ("number", "name")}
        assert lefts == {"number": pytest.approx(4), "name": pytest.approx(88)}
        box = await page.call("box", 3, "s9")
        assert box["x"] >= 88 + 84
        assert box["x"] + box["width"] <= 360


async def picture(page: GridPage, name: str) -> None:
    if SHOTS is not None:
        await page.browser.screenshot(Path(SHOTS) / f"{name}.png")
