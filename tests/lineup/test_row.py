from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.lineup.records import Gender, Group, Memo, Stamp
from gbs_actor.lineup.row import Totals, build_row, iso_utc, totals_of
from tests.lineup.making import person, registration


def test_times_are_written_in_utc_with_milliseconds() -> None:
    seoul = timezone(timedelta(hours=9))
    assert iso_utc(datetime(2024, 1, 5, 12, 0, 0, 123_999, seoul)) == "2024-01-05T03:00:00.123Z"


def test_a_whole_second_has_milliseconds_too() -> None:
    assert iso_utc(datetime(2024, 1, 5, 3, 0, tzinfo=UTC)) == "2024-01-05T03:00:00.000Z"


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        iso_utc(datetime(2024, 1, 5))


@given(st.datetimes(timezones=st.timezones()))
def test_a_written_time_reads_back_to_the_millisecond(moment: datetime) -> None:
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        return
    cut = utc.replace(microsecond=utc.microsecond // 1000 * 1000)
    assert datetime.fromisoformat(iso_utc(moment)) == cut


def test_totals_count_gender_and_attendance() -> None:
    group = [
        person(1, gender=Gender.MALE, full=True),
        person(2, gender=Gender.FEMALE, full=False),
        person(3, gender=Gender.FEMALE, full=True),
    ]
    assert totals_of(group) == Totals(
        members=3, male=1, female=2, full_attendance=2, partial_attendance=1
    )


def test_a_row_has_the_names_and_the_order_of_the_wire_contract() -> None:
    row = build_row(
        registration(11, 4, name="최하은", memo=Memo(5, "찬양팀", "#FECACA")),
        Group(4, memo="조장 교체"),
        Totals(4, 1, 3, 2, 2),
    )
    assert msgspec.to_builtins(row) == {
        "id": 11,
        "userId": 10_011,
        "gbsNumber": 4,
        "totalCount": 4,
        "maleCount": 1,
        "femaleCount": 3,
        "fullAttendanceCount": 2,
        "partialAttendanceCount": 2,
        "univGroupId": 7,
        "univGroupNumber": 3,
        "gradeId": 71,
        "gradeNumber": 1,
        "gender": "FEMALE",
        "name": "최하은",
        "phoneNumber": "010-1234-5678",
        "currentLeader": "이서연",
        "isLeader": False,
        "isFullAttendance": True,
        "gbsMemo": "조장 교체",
        "lineupMemo": "찬양팀",
        "lineupMemoId": 5,
        "lineupMemocolor": "#FECACA",
        "userType": None,
        "userRetreatRegistrationScheduleIds": (1, 2, 3),
        "createdAt": "2024-01-05T03:00:00.000Z",
        "updatedAt": "2024-01-05T03:00:00.000Z",
        "unresolvedLineupHistoryMemo": None,
        "adminMemo": None,
        "revision": 0,
    }


def test_an_unassigned_person_has_no_totals_and_no_group_memo() -> None:
    row = build_row(registration(1))
    assert (row.total_count, row.male_count, row.female_count) == (0, 0, 0)
    assert (row.full_attendance_count, row.partial_attendance_count) == (0, 0)
    assert (row.gbs_number, row.gbs_memo) == (None, "")


@pytest.mark.parametrize("newest", ["number", "memo", "row", "group"])
def test_a_row_is_as_new_as_the_newest_of_what_it_shows(newest: str) -> None:
    revisions = {"number": 1, "memo": 2, "row": 3, "group": 4} | {newest: 9}
    row = build_row(
        registration(
            1,
            5,
            number_stamp=Stamp(revisions["number"]),
            memo_stamp=Stamp(revisions["memo"]),
            row_revision=revisions["row"],
        ),
        Group(5, revision=revisions["group"]),
        Totals(1, 0, 1, 1, 0),
    )
    assert row.revision == 9
