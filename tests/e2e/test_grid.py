"""The grid by keys and mouse, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.grid import grid_page, served_grid

pytestmark = [pytest.mark.node, pytest.mark.browser]

COLUMNS = 20


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with served_grid() as origin:
        yield origin


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["ArrowDown"], [11, "memo"]),
        (["ArrowUp"], [9, "memo"]),
        (["ArrowRight"], [10, "department"]),
        (["ArrowLeft"], [10, "part"]),
        (["Tab"], [10, "department"]),
        (["Shift+Tab"], [10, "part"]),
        (["Home"], [10, "number"]),
        (["End"], [10, "s9"]),
        (["End", "Tab"], [11, "number"]),
        (["Home", "Shift+Tab"], [9, "s9"]),
        (["Control+Home"], [0, "number"]),
        (["Control+End"], [199, "s9"]),
        (["Control+ArrowDown"], [199, "memo"]),
        (["Control+ArrowUp"], [0, "memo"]),
        (["Control+ArrowRight"], [10, "s9"]),
        (["Control+ArrowLeft"], [10, "number"]),
        (["Control+Home", "ArrowUp", "ArrowLeft"], [0, "number"]),
        (["Control+End", "ArrowDown", "ArrowRight"], [199, "s9"]),
        (["Shift+Enter"], [9, "memo"]),
        (["PageDown", "PageUp"], [10, "memo"]),
    ],
)
async def test_keys_move_as_in_a_spreadsheet(
    pages: int, origin: str, keys: list[str], expected: list[object]
) -> None:
    async with grid_page(pages, origin) as page:
        await page.select(10, "memo")
        await page.press(*keys)
        assert await page.selection() == [*expected, 1, 1]


async def test_page_down_goes_by_what_is_in_view(pages: int, origin: str) -> None:
    async with grid_page(pages, origin, height=600) as page:
        await page.select(0, "memo")
        await page.press("PageDown")
        row, *_ = await page.selection()
        assert 10 <= row <= 16


async def test_a_selected_cell_is_in_view_and_not_below_what_sticks(
    pages: int, origin: str
) -> None:
    async with grid_page(pages, origin, width=700) as page:
        for keys in (["Control+End"], ["Control+Home"], ["Control+End", "Control+ArrowLeft"]):
            await page.select(100, "department")
            await page.press(*keys)
            row, column, *_ = await page.selection()
            box = await page.call("box", row, column)
            assert await page.browser.evaluate(
                f"document.elementFromPoint({box['x'] + 4}, {box['y'] + 4})"
                f".closest('.grid-cell') === page.cell({row}, '{column}')"
            )


async def test_typing_on_a_selected_cell_replaces_its_text(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.select(3, "memo")
        await page.type("late")
        assert await page.editor() == "late"
        await page.press("Enter")
        assert await page.selection() == [4, "memo", 1, 1]
        assert await page.text(3, "memo") == "late"
        assert await page.events("edit", "editing") == [
            ["editing", 3, "memo", True],
            ["edit", 3, "memo", "late"],
            ["editing", 3, "memo", False],
        ]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("Tab", [3, "department"]),
        ("Shift+Tab", [3, "part"]),
        ("Enter", [4, "memo"]),
        ("Shift+Enter", [2, "memo"]),
        ("ArrowDown", [4, "memo"]),
        ("ArrowUp", [2, "memo"]),
        ("ArrowRight", [3, "department"]),
        ("ArrowLeft", [3, "part"]),
    ],
)
async def test_a_typed_text_is_committed_by_every_key_that_leaves_the_cell(
    pages: int, origin: str, key: str, expected: list[object]
) -> None:
    async with grid_page(pages, origin) as page:
        await page.select(3, "memo")
        await page.type("x")
        await page.press(key)
        assert await page.events("edit") == [["edit", 3, "memo", "x"]]
        assert await page.selection() == [*expected, 1, 1]


@pytest.mark.parametrize("key", ["F2", "Enter"])
async def test_a_text_is_edited_within_by_arrows(pages: int, origin: str, key: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.select(0, "memo")
        before = await page.text(0, "memo")
        await page.press(key)
        assert await page.editor() == before
        await page.press("ArrowLeft", "Home")
        await page.type(">")
        await page.press("Enter")
        assert await page.text(0, "memo") == f">{before}"


async def test_escape_takes_an_edit_back(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.select(3, "memo")
        before = await page.text(3, "memo")
        await page.type("nothing")
        await page.press("Escape")
        assert await page.editor() is None
        assert await page.text(3, "memo") == before
        assert await page.events("edit") == []
        assert await page.selection() == [3, "memo", 1, 1]


async def test_a_text_that_was_not_touched_is_no_edit(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.select(3, "memo")
        await page.press("F2")
        await page.call("update", 3, {"memo": "somebody else's"})
        await page.press("Enter")
        assert await page.events("edit") == []
        assert await page.text(3, "memo") == "somebody else's"


async def test_a_text_that_was_typed_again_is_an_edit_if_others_have_changed_it(
    pages: int, origin: str
) -> None:
    async with grid_page(pages, origin) as page:
        await page.select(3, "memo")
        mine = await page.text(3, "memo")
        await page.press("F2")
        await page.type("!")
        await page.call("update", 3, {"memo": "somebody else's"})
        await page.press("Backspace", "Enter")
        assert await page.events("edit") == [["edit", 3, "memo", mine]]


async def test_enter_goes_on_to_the_next_row_though_the_edited_one_moves_away(
    pages: int, origin: str
) -> None:
    async with grid_page(pages, origin, "sorted") as page:
        await page.call("update", 0, {})
        await page.select(3, "number")
        await page.type("20")
        await page.press("Enter")
        assert await page.selection() == [4, "number", 1, 1]
        assert await page.call("cell", 3, "number") is None
        await page.press("ArrowUp")
        assert await page.selection() == [2, "number", 1, 1]


async def test_a_refused_text_stays_with_the_reason_beside_it(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.select(3, "number")
        await page.type("12a")
        await page.press("Enter")
        assert await page.editor() == "12a"
        assert await page.browser.text(".grid-problem") == "숫자만 쓸 수 있습니다"
        await page.click(5, "memo")
        assert await page.selection() == [3, "number", 1, 1]
        await page.press("Backspace", "Enter")
        assert await page.browser.text(".grid-problem") == ""
        assert await page.events("edit") == [["edit", 3, "number", "12"]]


async def test_a_memo_has_several_lines_and_another_text_one(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.select(1, "memo")
        await page.type("one")
        await page.press("Alt+Enter")
        await page.type("two")
        await page.press("Enter")
        await page.select(1, "number")
        await page.type("12")
        await page.press("Alt+Enter")
        assert await page.events("edit") == [
            ["edit", 1, "memo", "one\ntwo"],
            ["edit", 1, "number", "12"],
        ]


async def test_a_cell_that_cannot_be_edited_is_opened_instead(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.select(3, "name")
        await page.type("x ")
        await page.press("F2")
        assert await page.editor() is None
        await page.press("Enter")
        await page.click(4, "phone", times=2)
        assert await page.events("open", "edit") == [["open", 3, "name"], ["open", 4, "phone"]]


async def test_a_double_click_edits(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.click(3, "memo", times=2)
        assert await page.editor() == "메모 3: 늦게 도착합니다"


async def test_delete_reports_what_is_selected(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.select(3, "number")
        await page.press("Delete", "Shift+ArrowDown", "Backspace")
        assert await page.events("delete") == [
            ["delete", [3], ["number"]],
            ["delete", [3, 4], ["number"]],
        ]


async def test_a_range_is_extended_by_keys_and_copied_as_a_spreadsheet_takes_it(
    pages: int, origin: str
) -> None:
    async with grid_page(pages, origin) as page:
        await page.call("update", 4, {"memo": 'two\nlines and "quotes"'})
        await page.select(3, "memo")
        await page.press("Shift+ArrowDown", "Shift+ArrowDown", "Shift+ArrowUp", "Shift+ArrowRight")
        assert await page.selection() == [3, "memo", 2, 2]
        await page.press("Control+c")
        assert await page.call("copied.toString") == (
            '메모 3: 늦게 도착합니다\t4부\n"two\nlines and ""quotes"""\t5부'
        )
        await page.press("Escape")
        assert await page.selection() == [3, "memo", 1, 1]
        await page.press("Control+a")
        assert (await page.selection())[2:] == [200, COLUMNS]


async def test_a_range_is_dragged_by_the_mouse_or_clicked_with_shift(
    pages: int, origin: str
) -> None:
    async with grid_page(pages, origin) as page:
        await page.point(5, "part")
        await page.browser.step("mouse", does="down")
        await page.point(7, "memo")
        await page.point(8, "department")
        await page.browser.step("mouse", does="up")
        await page.point(1, "full")
        assert await page.selection() == [5, "part", 4, 3]
        await page.browser.step("keyboard", does="down", key="Shift")
        await page.click(9, "full")
        await page.browser.step("keyboard", does="up", key="Shift")
        assert await page.selection() == [5, "part", 5, 2]


async def test_a_drag_goes_on_beyond_the_edge(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.point(5, "memo")
        await page.browser.step("mouse", does="down")
        await page.point(8, "memo")
        await page.browser.step("mouse", does="move", x=300, y=855)
        await page.browser.until("page.grid.selected().rows.length > 30")
        await page.browser.step("mouse", does="up")
        assert (await page.selection())[:2] == [5, "memo"]
        count = "page.grid.selected().rows.length"
        assert (
            await page.browser.evaluate(
                f"new Promise((done) => {{ const before = {count};"
                f" setTimeout(() => done({count} - before), 200) }})"
            )
            == 0
        )


async def test_a_range_is_kept_while_its_rows_stay_together(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.select(3, "memo")
        await page.press("Shift+ArrowDown")
        await page.call("setRows", (await page.call("rows.slice", 2))[:50])
        assert await page.selection() == [3, "memo", 2, 1]
        await page.browser.evaluate("page.setRows(page.rows.filter((row) => row.id !== 4))")
        assert (await page.selection())[:2] == [3, "memo"]
        await page.browser.evaluate("page.setRows(page.rows.filter((row) => row.id !== 3))")
        assert (await page.selection())[:2] == [5, "memo"]


async def test_what_is_pasted_is_reported_and_enters_no_cell(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.select(3, "memo")
        await page.browser.evaluate(
            """{
                const clipboardData = new DataTransfer();
                clipboardData.setData("text/plain", "1\\t2");
                const init = { clipboardData, bubbles: true, cancelable: true };
                document.activeElement.dispatchEvent(new ClipboardEvent("paste", init));
            }"""
        )
        assert await page.events("paste") == [["paste", [3], ["memo"], "1\t2"]]
        assert await page.editor() is None


async def test_undo_brings_no_old_text_into_a_closed_editor(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.select(3, "memo")
        await page.type("old")
        await page.press("Enter", "Control+z", "Control+z", "Control+y")
        assert await page.editor() is None


async def test_a_click_on_another_cell_commits(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.click(3, "memo")
        await page.type("mine")
        await page.click(6, "number")
        assert await page.events("edit") == [["edit", 3, "memo", "mine"]]
        assert await page.selection() == [6, "number", 1, 1]
        await page.type("7")
        await page.press("Enter")
        assert await page.text(6, "number") == "7"


async def test_focus_that_goes_elsewhere_commits(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.click(3, "memo")
        await page.type("mine")
        await page.browser.click("#after")
        assert await page.events("edit") == [["edit", 3, "memo", "mine"]]
        assert await page.editor() is None


async def test_tab_enters_the_grid_and_leaves_it_after_escape_and_at_its_ends(
    pages: int, origin: str
) -> None:
    focused = "document.activeElement.id || document.activeElement.tagName"
    async with grid_page(pages, origin, "rows=3") as page:
        await page.browser.click("#before")
        await page.press("Tab")
        assert await page.selection() == [0, "number", 1, 1]
        await page.press("Tab", "Escape", "Tab")
        assert await page.browser.evaluate(focused) == "after"
        await page.press("Shift+Tab")
        assert await page.selection() == [0, "full", 1, 1]
        await page.press("Control+Home", "Shift+Tab")
        assert await page.browser.evaluate(focused) == "before"
        await page.select(2, "s9")
        await page.press("Tab")
        assert await page.browser.evaluate(focused) == "after"


async def test_a_panel_beside_the_editor_can_commit_without_another_text(
    pages: int, origin: str
) -> None:
    async with grid_page(pages, origin, "panel") as page:
        await page.select(3, "number")
        await page.press("F2")
        await page.browser.miss(".swatch")
        await page.press("Escape")
        await page.select(3, "memo")
        await page.press("F2")
        await page.browser.evaluate(
            "document.querySelector('.grid-panel').append('beside the button')"
        )
        await page.browser.step("click", at="text=beside the button", position={"x": 60, "y": 6})
        assert await page.editor() is not None
        await page.browser.click(".swatch")
        assert await page.events("edit") == [["edit", 3, "memo", "메모 3: 늦게 도착합니다"]]
        assert await page.editor() is None
        await page.press("ArrowDown", "F2", "Alt+ArrowDown", "Enter", "ArrowDown")
        assert await page.events("edit") == [["edit", 4, "memo", ""]]
        await page.press("F2", "Alt+ArrowDown", "Escape")
        await page.type("x")
        await page.press("Enter")
        assert await page.events("edit") == [["edit", 5, "memo", "x"]]
        assert await page.selection() == [6, "memo", 1, 1]


async def test_a_column_is_made_wider_by_its_edge(pages: int, origin: str) -> None:
    async with grid_page(pages, origin) as page:
        await page.click(3, "memo")
        await page.type("kept")
        edge = await page.browser.evaluate(
            "(({ right, y }) => ({ x: right - 1, y: y + 8 }))"
            "(document.querySelector('.grid-head').getBoundingClientRect())"
        )
        await page.browser.step("mouse", does="move", **edge)
        await page.browser.step("mouse", does="down")
        await page.browser.step("mouse", does="move", x=edge["x"] + 40, y=edge["y"])
        await page.browser.step("mouse", does="up")
        await page.drawn()
        [[_, column, width]] = await page.events("resize")
        assert column == "number"
        assert abs(width - 124) <= 1
        assert (await page.call("box", 0, "number"))["width"] == width
        assert await page.editor() == "kept"


async def test_columns_are_hidden_and_shown_with_the_selection_at_its_cell(
    pages: int, origin: str
) -> None:
    async with grid_page(pages, origin) as page:
        await page.select(3, "memo")
        await page.browser.evaluate(
            "page.grid.setColumns(page.columns.filter(({ key }) => key !== 'full'))"
        )
        await page.drawn()
        count = "document.querySelector('[role=grid]').getAttribute('aria-colcount')"
        assert await page.browser.evaluate(count) == str(COLUMNS - 1)
        index = "document.querySelector('.grid-cell.active').getAttribute('aria-colindex')"
        assert await page.browser.evaluate(index) == "3"
        await page.browser.evaluate("page.grid.setColumns(page.columns)")
        assert await page.selection() == [3, "memo", 1, 1]
