"""What the servers serve, and the smallest of them."""

from __future__ import annotations

import pytest

from scripts.bench import commit, seeding
from scripts.bench.peers import bare_send
from scripts.bench.workloads import ONE_ROOM, THOUSAND_ROOMS, TWENTY_ROOMS, UNEDITED_ROOM


def test_every_retreat_that_is_measured_is_made() -> None:
    rooms = {*ONE_ROOM, *UNEDITED_ROOM, *TWENTY_ROOMS, *THOUSAND_ROOMS}
    assert set(seeding.RETREATS) >= rooms


@pytest.mark.parametrize(("people", "memos"), [(20, 16), (80, 60)])
def test_people_have_a_memo_that_clients_edit(people: int, memos: int) -> None:
    retreat = seeding.retreat_with_memos("many-001", people)
    edited = [person for person in retreat.people if person.memo == "e0000000000"]
    assert len(edited) == memos
    assert not any(person.is_leader for person in edited)


def test_a_column_has_the_type_of_its_values() -> None:
    rows = [{"id": 1, "ok": True, "ids": [1], "memo": None}, {"id": 2, "memo": "a"}]
    assert seeding.column_types(rows) == {
        "id": "integer",
        "ok": "boolean",
        "ids": "integer[]",
        "memo": "text",
    }


def test_the_bare_loop_shakes_hands_as_the_rfc_shows() -> None:
    request = b"GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    response = bare_send.switching_protocols(request)
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in response


def test_the_retreat_of_the_store_alone_has_as_many_people_as_asked_for() -> None:
    assert len(commit.seed(10).people) == 10
