from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import structs

from gbs_actor.gateway.format import EventFormat
from gbs_actor.gateway.namespace.peer import RecoverableFormat, SocketIOFormat
from gbs_actor.gateway.plain.frame import PlainFormat
from gbs_actor.rooms.delivery import (
    EditedField,
    Editing,
    Presence,
    PresentUser,
    Snapshot,
)
from gbs_actor.rooms.encoded import EncodedRow
from gbs_actor.socketio import Message
from gbs_actor.socketio.websocket.frame import frame

FORMAT = SocketIOFormat("/gbs-lineup")
RECOVERABLE = RecoverableFormat("/gbs-lineup")


def event(message: Message) -> list[Any]:
    head = b"2/gbs-lineup,"
    assert message.text.removeprefix(b"4").startswith(head)
    value = json.loads(message.text.removeprefix(b"4")[len(head) :])
    assert isinstance(value, list)
    return value


def editing(user_id: int = 1) -> Editing:
    return Editing(
        lineup_id=7,
        user_retreat_registration_id=7,
        user_id=user_id,
        admin_user_id=user_id,
        user_name="김하늘",
        field="lineupMemo",
        editing=True,
    )


def test_a_row_goes_out_as_lineup_updated_with_its_own_bytes() -> None:
    message = FORMAT.update(EncodedRow(7, 3, b'{"id":7}'))
    assert event(message) == ["lineup-updated", {"id": 7}]


def test_rows_of_a_batch_stay_in_their_order_in_one_bundle() -> None:
    rows = [EncodedRow(identity, 3, b'{"id":%d}' % identity) for identity in (9, 4, 7)]
    parts = FORMAT.bundle([FORMAT.update(row) for row in rows]).parts
    assert [event(part)[1]["id"] for part in parts] == [9, 4, 7]


def test_two_states_of_a_row_share_a_slot_and_two_rows_do_not() -> None:
    first = FORMAT.update(EncodedRow(7, 3, b"{}"))
    second = FORMAT.update(EncodedRow(7, 4, b"{}"))
    other = FORMAT.update(EncodedRow(8, 4, b"{}"))
    assert first.key == second.key
    assert first.key != other.key


def test_presence_has_one_slot() -> None:
    user = PresentUser(1, "김하늘", 2, (EditedField(7, "lineupMemo"),))
    first, second = FORMAT.presence(Presence((user,), 1), 3), FORMAT.presence(Presence((), 0), 4)
    assert first.key == second.key
    assert event(first) == [
        "room-presence",
        {
            "users": [
                {
                    "userId": 1,
                    "userName": "김하늘",
                    "connections": 2,
                    "editing": [{"lineupId": 7, "field": "lineupMemo"}],
                }
            ],
            "total": 1,
        },
    ]


def test_an_editing_mark_has_a_slot_per_author_and_place() -> None:
    mark = FORMAT.editing(editing(), 1, 3)
    ended = structs.replace(editing(), editing=False)
    other_row = structs.replace(editing(), lineup_id=8, user_retreat_registration_id=8)
    other_field = structs.replace(editing(), field="gbsNumber")
    assert mark.key == FORMAT.editing(ended, 1, 4).key
    assert mark.key != FORMAT.editing(editing(), 2, 3).key
    assert mark.key != FORMAT.editing(other_row, 1, 3).key
    assert mark.key != FORMAT.editing(other_field, 1, 3).key


def test_an_editing_mark_carries_both_spellings_of_the_id() -> None:
    assert event(FORMAT.editing(editing(), 1, 3)) == [
        "user-editing",
        {
            "lineupId": 7,
            "userRetreatRegistrationId": 7,
            "userId": 1,
            "adminUserId": 1,
            "userName": "김하늘",
            "field": "lineupMemo",
            "editing": True,
        },
    ]


ROW = EncodedRow(7, 3, b'{"id":7}')


def test_for_a_recoverable_session_the_offset_of_a_row_is_its_revision() -> None:
    assert event(RECOVERABLE.update(ROW)) == ["lineup-updated", {"id": 7}, "3"]


def test_for_a_recoverable_session_the_offset_of_all_else_is_the_rooms_revision() -> None:
    assert event(RECOVERABLE.presence(Presence((), 0), 12))[2:] == ["12"]
    assert event(RECOVERABLE.editing(editing(), 1, 12))[2:] == ["12"]


def test_slots_are_the_same_with_and_without_offsets() -> None:
    assert RECOVERABLE.update(ROW).key == FORMAT.update(ROW).key
    presence, mark = Presence((), 0), editing()
    assert RECOVERABLE.presence(presence, 3).key == FORMAT.presence(presence, 3).key
    assert RECOVERABLE.editing(mark, 1, 3).key == FORMAT.editing(mark, 1, 3).key


def test_no_event_without_an_offset_ends_in_a_text() -> None:
    for message in (
        FORMAT.update(ROW),
        FORMAT.presence(Presence((), 0), 12),
        FORMAT.editing(editing(), 1, 12),
    ):
        assert len(event(message)) == 2
        assert not isinstance(event(message)[-1], str)


def test_a_plain_frame_is_the_event_and_its_data() -> None:
    message = PlainFormat().update(EncodedRow(7, 3, b'{"id":7}'))
    assert message.websocket == frame(b'{"event":"lineup-updated","data":{"id":7}}')
    assert message.key == FORMAT.update(EncodedRow(7, 3, b"{}")).key[1]  # type: ignore[index]


def test_a_plain_list_stands_beside_what_a_client_needs_to_ask_for_less() -> None:
    message = PlainFormat().initial_data(Snapshot(3, "e", True, b'[{"id":7}]'))
    assert json.loads(message.text) == {
        "event": "initial-data",
        "data": [{"id": 7}],
        "revision": 3,
        "epoch": "e",
        "full": True,
    }


@pytest.mark.parametrize(
    "form", [FORMAT, RECOVERABLE, PlainFormat()], ids=["sockets", "recoverable", "plain"]
)
def test_a_list_is_written_once_for_all_who_get_it(form: EventFormat) -> None:
    snapshot = Snapshot(3, "e", True, b'[{"id":7}]')
    assert form.initial_data(snapshot) is form.initial_data(snapshot)


def test_a_list_is_written_for_each_format() -> None:
    snapshot = Snapshot(3, "e", True, b'[{"id":7}]')
    assert event(FORMAT.initial_data(snapshot)) == ["initial-data", [{"id": 7}]]
    assert event(RECOVERABLE.initial_data(snapshot)) == ["initial-data", [{"id": 7}], "3"]


def test_editing_marks_that_go_out_together_keep_their_slots() -> None:
    marks = [FORMAT.editing(editing(), number, 3) for number in (1, 2)]
    assert [part.key for part in FORMAT.bundle(marks).parts] == [mark.key for mark in marks]
