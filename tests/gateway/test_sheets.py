"""Exports and imports over HTTP."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import openpyxl
import pytest
import trio
import trio.testing
from msgspec.structs import replace

from gbs_actor.auth import Role
from gbs_actor.gateway.imports.pending import PendingImports
from gbs_actor.gateway.replies import ProblemBody, problem_bodies
from gbs_actor.lineup.changes import Problem, Rejection
from gbs_actor.lineup.commands import Assignment, Author, BulkAssign, Command, Undo
from gbs_actor.observability import EventFilter
from gbs_actor.rooms.delivery import Accepted
from gbs_actor.store.protocol import StoreUnavailable
from gbs_actor.testing import HttpReply, SimStream
from tests.gateway.serving import LINE_UP, OTHER_SLUG, SLUG, World, settings_with, world

LEADER, PERSON, OTHER = 1, 2, 3
READER = {"role": Role.SHUTTLE_BUS_ACCOUNT_STAFF}
SOMEBODY_ELSE = {"user_id": 8, "name": "박간사"}
COLUMNS = {"No.": 4, "리더": 5, "조번호": 7, "학년": 9, "현리더": 14}
"""Of an export, from 1."""
OCTETS = {"Content-Type": "application/octet-stream"}


async def exported(here: World, route: str = "/export.xlsx", **options: Any) -> bytes:
    response = await here.send("GET", route, **options)
    assert response.status == 200
    data = response.body
    assert isinstance(data, bytes)
    return data


async def first_sheet(response: HttpReply) -> Any:
    data = response.body
    return openpyxl.load_workbook(io.BytesIO(data)).worksheets[0]


def edited(data: bytes, *cells: tuple[int, str, object]) -> bytes:
    """Return an export after somebody has changed cells of people, by openpyxl."""
    workbook = openpyxl.load_workbook(io.BytesIO(data))
    sheet = workbook.worksheets[0]
    rows = {int(sheet.cell(row, 1).value): row for row in range(2, sheet.max_row + 1)}
    for person, column, value in cells:
        sheet.cell(rows[person], COLUMNS[column]).value = value
    output = io.BytesIO()
    workbook.save(output)
    return output.getvalue()


def without(data: bytes, person: int) -> bytes:
    workbook = openpyxl.load_workbook(io.BytesIO(data))
    sheet = workbook.worksheets[0]
    ids = [sheet.cell(row, 1).value for row in range(1, sheet.max_row + 1)]
    sheet.delete_rows(ids.index(str(person)) + 1)
    output = io.BytesIO()
    workbook.save(output)
    return output.getvalue()


async def uploaded(here: World, data: bytes, **options: Any) -> dict[str, Any]:
    response = await here.send("POST", "/imports", raw=data, headers=OCTETS, **options)
    answer: dict[str, Any] = response.json()
    assert response.status == 200, answer
    return answer


async def applied(
    here: World, import_id: str, *, token: dict[str, Any] | None = None, **options: object
) -> tuple[int, dict[str, Any]]:
    response = await here.send("POST", f"/imports/{import_id}/apply", options, token=token)
    return response.status, response.json()


def cells(preview: dict[str, Any]) -> list[tuple[int, str, object, object]]:
    return [
        (each["registrationId"], each["field"], each["from"], each["to"])
        for each in preview["changes"]
    ]


async def do(here: World, action: Any, user: int = 8) -> Accepted:
    outcomes: list[Accepted | Rejection] = []
    replied = trio.Event()

    def reply(outcome: Accepted | Rejection) -> None:
        outcomes.append(outcome)
        replied.set()

    author = Author(user, "박간사", user)
    command = Command(action, author, uuid4())
    here.rooms.submit_to(SLUG, command, reply)
    await replied.wait()
    outcome = outcomes[0]
    assert isinstance(outcome, Accepted), outcome
    return outcome


async def assign(here: World, person: int, number: int | None, user: int = 8) -> Accepted:
    return await do(here, BulkAssign((Assignment(person, gbs_number=number),)), user)


# Exports


@pytest.mark.parametrize("route", ["/registration-roster-excel", "/export.xlsx"])
async def test_whoever_may_read_gets_the_line_up_as_a_sheet(route: str) -> None:
    async with world() as here:
        response = await here.send("GET", route, token=READER)
        assert response.status == 200
        assert response.headers["Content-Type"].endswith("spreadsheetml.sheet")
        assert response.headers["Cache-Control"] == "private, no-store"
        sheet = openpyxl.load_workbook(io.BytesIO(response.body)).worksheets[0]
        titles = [cell.value for cell in sheet[1]]
        assert {"이름", "조번호", "월저"} & set(titles) >= {"이름", "조번호"}
        assert [sheet.cell(row, 1).value for row in range(2, 8)] == list("123456")


async def test_the_template_names_nobody() -> None:
    async with world() as here:
        sheet = openpyxl.load_workbook(io.BytesIO(await exported(here, "/template.xlsx")))
        assert "010-0000-0001" not in await here.row(1)
        assert sheet.worksheets[0].max_row > 1


@pytest.mark.parametrize("path", ["/export.xlsx", "/template.xlsx"])
async def test_there_is_no_sheet_of_a_retreat_that_is_not_there(path: str) -> None:
    async with world() as here:
        response = await here.send("GET", f"/api/v1/retreat/nowhere/line-up{path}")
        assert (response.status, response.json()["code"]) == (404, "RETREAT_NOT_FOUND")


# The round trip


async def test_an_export_that_comes_back_changes_nothing() -> None:
    async with world() as here:
        preview = await uploaded(here, await exported(here))
        assert (preview["changes"], preview["blocks"], preview["warnings"]) == ([], [], [])
        status, answer = await applied(here, preview["importId"])
        assert (status, answer["updatedCount"], answer["revision"]) == (200, 0, 0)
        assert (await here.rows())["revision"] == 0


async def test_what_is_not_imported_is_noticed_and_needs_no_acknowledgement() -> None:
    async with world() as here:
        sheet = edited(await exported(here), (PERSON, "학년", 9), (PERSON, "조번호", 7))
        preview = await uploaded(here, sheet)
        assert [each["code"] for each in preview["notices"]] == ["NOT_IMPORTED"]
        assert (await applied(here, preview["importId"]))[0] == 200


async def test_exactly_the_edited_cells_are_shown_and_then_applied_as_one_change() -> None:
    async with world() as here:
        changes = ((PERSON, "조번호", 7), (OTHER, "현리더", "새리더"), (OTHER, "조번호", 7))
        sheet = edited(await exported(here), *changes)
        preview = await uploaded(here, sheet)
        assert preview["revision"] == 0
        assert cells(preview) == [
            (PERSON, "gbsNumber", None, 7),
            (OTHER, "gbsNumber", None, 7),
            (OTHER, "currentLeader", "박리더", "새리더"),
        ]
        assert (await here.row(PERSON))["gbsNumber"] is None
        status, answer = await applied(here, preview["importId"])
        assert status == 200
        assert (answer["updatedCount"], answer["createdGbsNumbers"]) == (2, [7])
        assert (answer["revision"], answer["conflicts"], answer["skipped"]) == (1, [], [])
        assert {row["id"] for row in answer["updatedLineups"]} == {PERSON, OTHER}
        assert (await here.row(OTHER))["currentLeader"] == "새리더"
        assert (await here.row(PERSON))["totalCount"] == 2


async def test_a_file_may_come_in_a_form_and_a_pasted_range_too() -> None:
    async with world() as here:
        sheet = edited(await exported(here), (PERSON, "조번호", 7))
        form = (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.xlsx"\r\n\r\n'
            + sheet
            + b"\r\n--x--\r\n"
        )
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        response = await here.send("POST", "/imports", headers=kind, raw=form)
        assert cells(response.json()) == [(PERSON, "gbsNumber", None, 7)]
        rows = openpyxl.load_workbook(io.BytesIO(sheet)).worksheets[0].values
        text = "\n".join("\t".join("" if c is None else str(c) for c in row) for row in rows)
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        response = await here.send(
            "POST", "/imports", headers=kind, raw=urlencode({"text": text}).encode()
        )
        assert response.status == 200
        pasted = await uploaded(here, text.encode())
        assert cells(pasted) == [(PERSON, "gbsNumber", None, 7)]


# What others do meanwhile


async def test_an_edit_of_somebody_else_survives_a_cell_that_nobody_touched() -> None:
    async with world() as here:
        sheet = edited(await exported(here), (PERSON, "조번호", 7))
        await assign(here, OTHER, 3)
        preview = await uploaded(here, sheet)
        assert cells(preview) == [(PERSON, "gbsNumber", None, 7)]
        assert (await applied(here, preview["importId"]))[0] == 200
        assert (await here.row(OTHER))["gbsNumber"] == 3


@pytest.mark.parametrize("before", ["upload", "apply"])
async def test_a_newer_edit_of_the_same_cell_is_a_conflict_that_can_be_left_out(
    before: str,
) -> None:
    async with world() as here:
        sheet = edited(await exported(here), (PERSON, "조번호", 7), (OTHER, "조번호", 7))
        if before == "upload":
            await assign(here, OTHER, 3)
        preview = await uploaded(here, sheet)
        if before == "apply":
            await assign(here, OTHER, 3)
        assert cells(preview)[1] == (OTHER, "gbsNumber", None, 7)
        mine, theirs = (each["conflict"] for each in preview["changes"])
        assert mine is None
        assert (theirs is not None) == (before == "upload")
        status, answer = await applied(here, preview["importId"])
        assert (status, answer["code"]) == (409, "CONFLICT")
        (problem,) = answer["problems"]
        assert (problem["registrationId"], problem["theirs"]) == (OTHER, 3)
        assert problem["changedBy"] == "박간사"
        assert theirs in (None, problem)
        assert (await here.row(PERSON))["gbsNumber"] is None
        status, answer = await applied(here, preview["importId"], onConflict="skip")
        assert (status, answer["updatedCount"]) == (200, 1)
        assert [each["registrationId"] for each in answer["conflicts"]] == [OTHER]
        assert (await here.row(OTHER))["gbsNumber"] == 3


async def test_a_conflict_is_shown_with_each_cell_of_the_person() -> None:
    async with world() as here:
        sheet = edited(await exported(here), (OTHER, "조번호", 7), (OTHER, "현리더", "새리더"))
        await assign(here, OTHER, 3)
        preview = await uploaded(here, sheet)
        number, leader = (each["conflict"] for each in preview["changes"])
        assert number == leader
        shown = (number["code"], number["field"], number["theirs"], number["changedBy"])
        assert shown == ("CONFLICT", "gbsNumber", 3, "박간사")
        assert number["changedAt"].endswith("Z")
        status, answer = await applied(here, preview["importId"], onConflict="skip")
        assert (status, answer["updatedCount"], answer["conflicts"]) == (200, 0, [number])


async def test_who_imports_the_same_export_again_is_not_in_conflict_with_themselves() -> None:
    async with world() as here:
        export = await exported(here)
        first = await uploaded(here, edited(export, (PERSON, "조번호", 7), (OTHER, "조번호", 7)))
        assert (await applied(here, first["importId"]))[0] == 200
        again = await uploaded(here, edited(export, (PERSON, "조번호", 8), (OTHER, "조번호", 7)))
        assert cells(again) == [(PERSON, "gbsNumber", 7, 8)]
        assert again["changes"][0]["conflict"] is None
        status, answer = await applied(here, again["importId"])
        assert (status, answer["updatedCount"]) == (200, 1)
        # Taken back in the sheet, too.
        back = await uploaded(here, edited(export, (PERSON, "조번호", "-"), (OTHER, "조번호", 7)))
        assert cells(back) == [(PERSON, "gbsNumber", 8, None)]
        assert (await applied(here, back["importId"]))[0] == 200
        # Of somebody else, the same sheet is older than these changes.
        theirs = await uploaded(here, edited(export, (PERSON, "조번호", 9)), token=SOMEBODY_ELSE)
        status, answer = await applied(here, theirs["importId"], token=SOMEBODY_ELSE)
        assert (status, answer["code"]) == (409, "CONFLICT")


async def test_another_export_of_the_same_user_is_as_old_as_it_is() -> None:
    async with world() as here:
        export, other = await exported(here), await exported(here)
        first = await uploaded(here, edited(export, (PERSON, "조번호", 7)))
        await applied(here, first["importId"])
        second = await uploaded(here, edited(other, (PERSON, "조번호", 8)))
        assert (await applied(here, second["importId"]))[1]["code"] == "CONFLICT"


async def test_an_import_that_was_undone_can_be_imported_again() -> None:
    async with world() as here:
        sheet = edited(await exported(here), (PERSON, "조번호", 7))
        first = await uploaded(here, sheet)
        await applied(here, first["importId"])
        await do(here, Undo(command_id=UUID(first["importId"])), user=7)
        again = await uploaded(here, sheet)
        assert cells(again) == [(PERSON, "gbsNumber", None, 7)]
        assert (await applied(here, again["importId"]))[0] == 200
        assert (await here.row(PERSON))["gbsNumber"] == 7


async def test_where_the_history_is_pruned_cells_are_compared_with_the_list_as_it_is() -> None:
    async with world() as here:
        await assign(here, OTHER, 3)
        sheet = edited(await exported(here), (PERSON, "조번호", 7))
        await assign(here, OTHER, 4)
        preview = await uploaded(here, sheet)
        assert cells(preview) == [(PERSON, "gbsNumber", None, 7)]
        await here.store.prune_log(datetime.now(UTC) + timedelta(days=1))
        preview = await uploaded(here, sheet)
        assert cells(preview) == [
            (OTHER, "gbsNumber", 4, 3),
            (PERSON, "gbsNumber", None, 7),
        ]
        assert (await applied(here, preview["importId"]))[0] == 200


async def test_so_are_they_where_another_program_has_changed_all_of_the_retreat() -> None:
    async with world() as here:
        await assign(here, OTHER, 3)
        sheet = edited(await exported(here), (PERSON, "조번호", 7))
        retreat = await here.store.load(SLUG)
        assert retreat is not None
        person = next(each for each in retreat.registrations if each.id == OTHER)
        # The log does not say which of its fields have changed.
        here.store.write_outside(SLUG, [replace(person, gbs_number=4)], whole=True)
        await assign(here, PERSON, None)
        assert cells(await uploaded(here, sheet)) == [
            (OTHER, "gbsNumber", 4, 3),
            (PERSON, "gbsNumber", None, 7),
        ]


async def test_a_sheet_of_another_epoch_is_compared_with_the_list_as_it_is() -> None:
    async with world() as here:
        await assign(here, OTHER, 3)
        sheet = await exported(here)
        await here.store.new_epoch(SLUG)
        await here.rooms.actions.restart(SLUG)
        await assign(here, OTHER, 4)
        assert cells(await uploaded(here, sheet)) == [(OTHER, "gbsNumber", 4, 3)]


async def test_a_leader_leads_the_group_that_the_sheet_puts_them_into() -> None:
    async with world() as here:
        preview = await uploaded(here, edited(await exported(here), (LEADER, "조번호", 9)))
        assert cells(preview) == [(LEADER, "gbsNumber", 1, 9)]
        assert (await applied(here, preview["importId"]))[0] == 200
        row = await here.row(LEADER)
        assert (row["gbsNumber"], row["isLeader"]) == (9, True)


async def test_who_has_become_a_leader_since_stays_where_they_lead() -> None:
    async with world() as here:
        sheet = edited(await exported(here), (PERSON, "조번호", 9))
        await do(here, BulkAssign((Assignment(PERSON, gbs_number=3, is_leader=True),)))
        preview = await uploaded(here, sheet)
        assert preview["changes"][0]["conflict"]["code"] == "LEADER_LOCKED"
        status, answer = await applied(here, preview["importId"])
        assert (status, answer["code"]) == (409, "LEADER_LOCKED")


# Applying


async def test_an_import_is_applied_once_however_often_it_is_asked_for() -> None:
    async with world() as here:
        preview = await uploaded(here, edited(await exported(here), (PERSON, "조번호", 7)))
        status, first = await applied(here, preview["importId"])
        assert status == 200
        await assign(here, PERSON, 5)
        status, again = await applied(here, preview["importId"])
        assert (status, again["revision"], again["updatedCount"]) == (200, first["revision"], 1)
        assert (await here.row(PERSON))["gbsNumber"] == 5
        assert again["updatedLineups"] == [await here.row(PERSON)]


async def test_of_two_who_apply_at_once_the_second_repeats_the_first() -> None:
    async with world() as here:
        preview = await uploaded(here, edited(await exported(here), (PERSON, "조번호", 7)))
        answers: list[tuple[int, dict[str, Any]]] = []

        async def apply() -> None:
            answers.append(await applied(here, preview["importId"]))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(apply)
            nursery.start_soon(apply)
        assert [(status, answer["updatedCount"]) for status, answer in answers] == [(200, 1)] * 2
        assert (await here.rows())["revision"] == 1


async def test_what_was_applied_is_known_when_the_import_is_not_any_more() -> None:
    async with world() as here:
        preview = await uploaded(here, edited(await exported(here), (PERSON, "조번호", 7)))
        await applied(here, preview["importId"])
        here.services.importer.pending = PendingImports(here.services.settings.imports)
        status, again = await applied(here, preview["importId"])
        assert (status, again["revision"], again["updatedCount"]) == (200, 1, 1)
        status, _ = await applied(here, preview["importId"], token=SOMEBODY_ELSE)
        assert status == 404


async def test_somebody_who_is_missing_has_to_be_acknowledged() -> None:
    async with world() as here:
        sheet = without(edited(await exported(here), (PERSON, "조번호", 7)), OTHER)
        preview = await uploaded(here, sheet)
        (warning,) = preview["warnings"]
        assert (warning["code"], warning["registrationId"]) == ("NOT_IN_SHEET", OTHER)
        status, answer = await applied(here, preview["importId"])
        assert (status, answer["code"]) == (409, "NOT_ACKNOWLEDGED")
        assert answer["warnings"] == preview["warnings"]
        status, answer = await applied(here, preview["importId"], acknowledge=True)
        assert (status, answer["updatedCount"]) == (200, 1)


async def test_a_warning_that_comes_up_later_has_to_be_acknowledged_anew() -> None:
    async with world() as here:
        sheet = without(edited(await exported(here), (PERSON, "조번호", 7)), OTHER)
        preview = await uploaded(here, sheet)
        pending = here.services.importer.pending.find(UUID(preview["importId"]), SLUG, 7)
        assert pending is not None
        pending.shown = frozenset()  # as if OTHER had registered meanwhile
        status, answer = await applied(here, preview["importId"], acknowledge=True)
        assert (status, answer["code"]) == (409, "NOT_ACKNOWLEDGED")
        assert [each["registrationId"] for each in answer["warnings"]] == [OTHER]
        status, _ = await applied(here, preview["importId"], acknowledge=True)
        assert status == 200


async def test_a_sheet_with_a_block_is_not_applied_and_the_block_is_listed() -> None:
    async with world() as here:
        sheet = edited(await exported(here), (PERSON, "조번호", "7조 아님"))
        preview = await uploaded(here, sheet)
        assert [each["code"] for each in preview["blocks"]] == ["INVALID_VALUE"]
        status, answer = await applied(here, preview["importId"], acknowledge=True)
        assert (status, answer["code"]) == (409, "IMPORT_BLOCKED")
        assert answer["blocks"] == preview["blocks"]
        response = await here.send("GET", f"/imports/{preview['importId']}/blocks.xlsx")
        listed = openpyxl.load_workbook(io.BytesIO(response.body)).worksheets[0]
        assert preview["blocks"][0]["message"] in {cell.value for cell in listed[2]}
        response = await here.send("GET", f"/imports/{preview['importId']}/warnings.xlsx")
        assert response.status == 200


async def test_while_the_store_cannot_be_reached_nothing_is_previewed() -> None:
    async with world() as here:
        sheet = edited(await exported(here), (PERSON, "조번호", 7))
        await assign(here, PERSON, 3)

        async def broken(*_: object) -> Any:
            raise StoreUnavailable("told to be")

        here.store.history = broken  # type: ignore[method-assign,assignment]
        response = await here.send("POST", "/imports", raw=sheet, headers=OCTETS)
        answer = response.json()
        assert (response.status, answer["code"]) == (503, "STORE_UNAVAILABLE")


# Who may, how much, how long


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/imports"),
        ("POST", f"/imports/{UUID(int=1)}/apply"),
        ("GET", f"/imports/{UUID(int=1)}/blocks.xlsx"),
    ],
)
async def test_who_may_only_read_imports_nothing(method: str, path: str) -> None:
    async with world() as here:
        response = await here.send(method, path, token=READER)
        assert (response.status, response.json()["code"]) == (403, "FORBIDDEN")


@pytest.mark.parametrize("path", ["/imports", f"/imports/{UUID(int=1)}/apply"])
async def test_a_page_of_a_foreign_origin_imports_nothing(path: str) -> None:
    async with world() as here:
        cookie = {"Cookie": f"accessToken={here.token()}"}
        foreign = {**cookie, "Origin": "https://evil.example"}
        response = await here.send("POST", path, {}, headers=foreign)
        assert response.status == 403
        form = {**cookie, "Content-Type": "text/plain"}
        response = await here.send("POST", path, {}, headers=form)
        assert response.status == (200 if path == "/imports" else 415)


async def test_an_import_belongs_to_its_user_and_its_retreat() -> None:
    async with world() as here:
        preview = await uploaded(here, edited(await exported(here), (PERSON, "조번호", 7)))
        status, answer = await applied(here, preview["importId"], token=SOMEBODY_ELSE)
        assert (status, answer["code"]) == (404, "NOT_FOUND")
        other = f"/api/v1/retreat/{OTHER_SLUG}/line-up/imports/{preview['importId']}"
        assert (await here.send("POST", f"{other}/apply")).status == 404
        assert (await here.send("GET", f"{other}/warnings.xlsx")).status == 404
        assert (await here.rows())["revision"] == 0


async def test_an_import_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(settings_with(import_timeout=60.0)) as here:
        preview = await uploaded(here, edited(await exported(here), (PERSON, "조번호", 7)))
        now = trio.current_time()
        monkeypatch.setattr(trio, "current_time", lambda: now + 61)
        status, answer = await applied(here, preview["importId"])
        assert (status, answer["code"]) == (404, "NOT_FOUND")
        assert len(here.services.importer.pending) == 0


async def test_the_oldest_import_makes_room_that_of_the_same_user_first() -> None:
    async with world(settings_with(imports=3, imports_per_user=2)) as here:
        sheet = edited(await exported(here), (PERSON, "조번호", 7))
        theirs = (await uploaded(here, sheet, token=SOMEBODY_ELSE))["importId"]
        mine = [(await uploaded(here, sheet))["importId"] for _ in range(3)]
        assert len(here.services.importer.pending) == 3
        assert (await applied(here, mine[0]))[0] == 404
        await uploaded(here, sheet, token={"user_id": 9, "name": "최간사"})
        assert len(here.services.importer.pending) == 3
        assert (await applied(here, theirs, token=SOMEBODY_ELSE))[0] == 404
        assert (await applied(here, mine[1]))[0] == 200


async def test_a_sheet_counts_as_many_requests() -> None:
    async with world(settings_with(user_rate=0.001, user_burst=150)) as here:
        sheet = await exported(here)
        await uploaded(here, sheet)
        response = await here.send("GET", "/user-lineups")
        assert (response.status, response.json()["code"]) == (429, "RATE_LIMITED")
        await exported(here, token=SOMEBODY_ELSE)


async def test_a_preview_is_made_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def bodies(problems: Iterable[Problem]) -> tuple[ProblemBody, ...]:
        threads.append(threading.get_ident())
        return problem_bodies(problems)

    monkeypatch.setattr("gbs_actor.gateway.http.sheets.problem_bodies", bodies)
    async with world() as here:
        await uploaded(here, await exported(here))
    assert len(threads) == 1
    assert threads != [threading.get_ident()]


async def begin_to_upload(here: World) -> SimStream:
    stream = await here.server.open_stream()
    head = [
        f"POST {LINE_UP}/imports HTTP/1.1",
        "Host: lineup.test",
        f"Authorization: Bearer {here.token()}",
        "Content-Type: application/octet-stream",
        "Content-Length: 100",
    ]
    await stream.send_all("\r\n".join([*head, "", "PK"]).encode())
    return stream


async def test_only_a_few_sheets_of_a_user_are_worked_on_at_once() -> None:
    async with world(settings_with(imports_at_once_per_user=2)) as here:
        preview = await uploaded(here, await exported(here))
        _, two = await begin_to_upload(here), await begin_to_upload(here)
        await here.server.settle()
        for method, path in (
            ("GET", "/export.xlsx"),
            ("GET", "/template.xlsx"),
            ("GET", f"/imports/{preview['importId']}/warnings.xlsx"),
            ("POST", "/imports"),
        ):
            response = await here.send(method, path)
            answer = response.json()
            assert (response.status, answer["code"]) == (429, "RATE_LIMITED")
            assert response.headers["Retry-After"] == "1"
        (event,) = here.events.after(0, EventFilter(("limit.",))).events
        assert event.details == {"limit": "imports_at_once_per_user"}
        await exported(here, token=SOMEBODY_ELSE)
        two.cut()
        await here.server.settle()
        await exported(here)


async def test_a_file_that_is_too_large_is_refused() -> None:
    async with world(settings_with(import_size=100_000)) as here:
        response = await here.send("POST", "/imports", raw=bytes(200_000), headers=OCTETS)
        assert (response.status, response.json()["code"]) == (413, "CONTENT_TOO_LARGE")
        response = await here.send("POST", "/imports", raw=bytes(100_001), headers=OCTETS)
        answer = response.json()
        assert (response.status, answer["code"]) == (400, "VALIDATION_FAILED")
        assert answer["message"].startswith("파일이 너무 큽니다")
        # Elsewhere the limit is as it was.
        response = await here.send("PUT", f"/user-lineups/{PERSON}", raw=bytes(90_000))
        assert response.status == 413


@pytest.mark.parametrize("raw", [b"", b"\x00\x01", b"PK\x03\x04 broken"])
async def test_what_cannot_be_read_is_refused_in_one_sentence(raw: bytes) -> None:
    async with world() as here:
        response = await here.send("POST", "/imports", raw=raw, headers=OCTETS)
        answer = response.json()
        assert (response.status, answer["code"]) == (400, "VALIDATION_FAILED")
        assert answer["message"].endswith(("다.", "요."))


async def test_the_column_of_numbers_counts_only_if_asked_for() -> None:
    async with world() as here:
        sheet = edited(await exported(here), (PERSON, "No.", 77))
        assert (await uploaded(here, sheet))["changes"] == []
        path = "/imports?applyLineupNumber=true"
        preview = (await here.send("POST", path, raw=sheet, headers=OCTETS)).json()
        assert (PERSON, "lineupNumber", None, 77) in cells(preview)
        status, answer = await applied(here, preview["importId"])
        assert (status, answer["updatedCount"]) == (200, 6)
        again = (await here.send("POST", path, raw=await exported(here), headers=OCTETS)).json()
        assert again["changes"] == []
        response = await here.send("POST", "/imports?applyLineupNumber=maybe", raw=sheet)
        assert response.status == 400
