from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from gbs_actor.gateway import replies
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.changes import Conflict, Rejection
from gbs_actor.lineup.codes import RETRYABLE, Code
from gbs_actor.lineup.fields import Field
from gbs_actor.lineup.records import Gender, Memo, Row
from gbs_actor.rooms.delivery import Accepted, Done, Snapshot
from gbs_actor.rooms.encoded import EncodedRow

WHEN = datetime(2024, 1, 19, 20, 5, 1, 234_567, tzinfo=UTC)


def row(identity: int = 7) -> Row:
    return Row(
        id=identity,
        user_id=70,
        gbs_number=3,
        total_count=1,
        male_count=1,
        female_count=0,
        full_attendance_count=1,
        partial_attendance_count=0,
        univ_group_id=1,
        univ_group_number=1,
        grade_id=2,
        grade_number=2,
        gender=Gender.MALE,
        name="김하늘",
        phone_number="010-0000-0000",
        current_leader="박리더",
        is_leader=False,
        is_full_attendance=True,
        gbs_memo="",
        lineup_memo="",
        lineup_memo_id=None,
        lineup_memocolor="",
        user_type=None,
        user_retreat_registration_schedule_ids=(1, 2),
        created_at="2024-01-01T00:00:00.000Z",
        updated_at="2024-01-01T00:00:00.000Z",
        unresolved_lineup_history_memo=None,
        admin_memo=None,
        revision=12,
    )


def load(encoded: bytes) -> dict[str, Any]:
    value = json.loads(encoded)
    assert isinstance(value, dict)
    return value


def test_an_accepted_command_is_answered_with_the_row_and_its_revision() -> None:
    encoded = EncodedRow(7, 12, b'{"id":7,"revision":12}')
    ack = load(replies.accepted(Accepted(12, encoded, (encoded,))))
    assert ack == {"status": "OK", "data": {"id": 7, "revision": 12}, "revision": 12}


def test_the_row_in_an_ack_is_the_very_bytes_the_room_encoded() -> None:
    spaced = b'{"id":  7, "name": "\\u0041"}'
    assert spaced in replies.accepted(Accepted(1, EncodedRow(7, 1, spaced), ()))


def test_a_join_is_answered_with_rows_revision_epoch_and_full() -> None:
    ack = load(replies.joined(Snapshot(5, "e1", True, b'[{"id":1}]')))
    assert ack == {
        "status": "OK",
        "data": [{"id": 1}],
        "revision": 5,
        "epoch": "e1",
        "full": True,
    }


def test_the_ack_of_a_join_is_written_once_for_all_who_get_the_same_rows() -> None:
    snapshot = Snapshot(3, "e", True, b"[]")
    assert replies.joined(snapshot) is replies.joined(snapshot)


@pytest.mark.parametrize("revision", [None, 9])
def test_an_event_without_a_result_is_answered_with_null(revision: int | None) -> None:
    assert load(replies.done(Done(revision))) == {
        "status": "OK",
        "data": None,
        "revision": revision,
    }


def test_a_failed_ack_has_no_more_than_code_and_message_where_there_is_no_more() -> None:
    failure = Failure.because(Code.VALIDATION_FAILED, "no")
    assert load(replies.failed("user-editing", failure)) == {
        "status": "ERROR",
        "code": "VALIDATION_FAILED",
        "message": "no",
    }


@pytest.mark.parametrize(
    ("event", "legacy"),
    [
        ("join-retreat", "JOIN_FAILED"),
        ("update-gbs-number", "UPDATE_FAILED"),
        ("create-lineup-memo", "CREATE_MEMO_FAILED"),
        ("update-lineup-memo", "UPDATE_MEMO_FAILED"),
        ("delete-lineup-memo", "DELETE_MEMO_FAILED"),
    ],
)
def test_older_clients_find_their_code_in_ack_and_error_event(event: str, legacy: str) -> None:
    failure = Failure.because(Code.NOT_FOUND, "gone")
    assert load(replies.failed(event, failure))["legacyCode"] == legacy
    assert load(replies.error_event(event, failure))["legacyCode"] == legacy


@pytest.mark.parametrize("code", list(Code))
def test_exactly_the_retryable_codes_say_so(code: Code) -> None:
    ack = load(replies.failed("x", Failure.of(Rejection(code, "m"))))
    assert ack.get("retryable") is (True if code in RETRYABLE else None)


def test_an_unknown_outcome_is_not_retryable_without_a_command_id_to_repeat() -> None:
    failure = Failure.of(Rejection(Code.OUTCOME_UNKNOWN, "m"), repeatable=False)
    assert "retryable" not in load(replies.failed("x", failure))


def test_a_room_that_is_busy_is_retryable_also_without_a_command_id() -> None:
    failure = Failure.of(Rejection(Code.ROOM_BUSY, "m"), repeatable=False)
    assert load(replies.failed("x", failure))["retryable"] is True


def test_a_conflict_carries_the_current_row_and_what_stands_against_the_command() -> None:
    conflict = Conflict(Field.GBS_NUMBER, 4, "이수진", 9, WHEN, 12)
    failure = Failure.of(Rejection(Code.CONFLICT, "newer", row(), conflict))
    ack = load(replies.failed("update-gbs-number", failure))
    assert ack["data"]["id"] == 7
    assert ack["data"]["lineupMemocolor"] == ""
    assert ack["conflict"] == {
        "field": "gbsNumber",
        "theirs": 4,
        "changedBy": "이수진",
        "changedAt": "2024-01-19T20:05:01.234Z",
        "revision": 12,
    }


def test_a_memo_conflict_shows_the_memo_in_the_words_of_the_events() -> None:
    conflict = Conflict(Field.LINEUP_MEMO, Memo(3, "허리", "#FECACA"), "이수진", 9, WHEN, 12)
    ack = load(replies.failed("x", Failure.of(Rejection(Code.CONFLICT, "m", row(), conflict))))
    assert ack["conflict"]["theirs"] == {"memoId": 3, "memo": "허리", "color": "#FECACA"}


def test_a_deleted_memo_stands_against_a_command_as_null() -> None:
    conflict = Conflict(Field.LINEUP_MEMO, None, "이수진", 9, WHEN, 12)
    ack = load(replies.failed("x", Failure.of(Rejection(Code.CONFLICT, "m", row(), conflict))))
    assert ack["conflict"]["theirs"] is None


def test_the_error_event_names_the_event_where_the_ack_has_the_status() -> None:
    failure = Failure.because(Code.NOT_IN_ROOM, "join first")
    assert load(replies.error_event("user-editing", failure)) == {
        "event": "user-editing",
        "code": "NOT_IN_ROOM",
        "message": "join first",
    }


def test_an_error_that_no_event_caused_has_null_for_event() -> None:
    failure = Failure.because(Code.TOKEN_EXPIRED, "expired")
    assert load(replies.error_event(None, failure))["event"] is None


def test_an_http_error_has_neither_status_nor_event() -> None:
    body = load(replies.http_error(Failure.because(Code.ROOM_BUSY, "later")))
    assert body == {"code": "ROOM_BUSY", "message": "later", "retryable": True}


def test_moments_are_written_in_utc_with_milliseconds() -> None:
    seoul = timezone(timedelta(hours=9))
    moment = datetime(2024, 1, 20, 5, 0, 0, 999_999, tzinfo=seoul)
    conflict = Conflict(Field.GBS_NUMBER, 4, "이수진", 9, moment, 12)
    ack = load(replies.failed("x", Failure.of(Rejection(Code.CONFLICT, "m", row(), conflict))))
    assert ack["conflict"]["changedAt"] == "2024-01-19T20:00:00.999Z"


def test_the_answer_to_a_join_is_kept_for_full_lists_only() -> None:
    full, part = Snapshot(5, "e", True, b"[]"), Snapshot(5, "e", False, b"[]")
    assert replies.joined(full) is replies.joined(full)
    assert replies.joined(part) is not replies.joined(part)
