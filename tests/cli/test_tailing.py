"""``tail`` says what happens in a room, in words."""

from __future__ import annotations

import msgspec
import pytest

from gbs_actor.cli.tailing import describe
from gbs_actor.client import EditingMarked, ListReplaced, PresenceChanged, RowUpdated, ServerError
from gbs_actor.client.updates import PresentPerson
from gbs_actor.lineup.records import Gender, Row

ROW = Row(
    id=5,
    user_id=50,
    gbs_number=3,
    total_count=4,
    male_count=2,
    female_count=2,
    full_attendance_count=4,
    partial_attendance_count=0,
    univ_group_id=1,
    univ_group_number=1,
    grade_id=1,
    grade_number=1,
    gender=Gender.MALE,
    name="김하늘",
    phone_number="010-0000-0000",
    current_leader="",
    is_leader=False,
    is_full_attendance=True,
    gbs_memo="",
    lineup_memo="",
    lineup_memo_id=None,
    lineup_memocolor="",
    user_type=None,
    user_retreat_registration_schedule_ids=(),
    created_at="",
    updated_at="",
    unresolved_lineup_history_memo=None,
    admin_memo=None,
    revision=8,
)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gbs_number": 7}, "group 3 -> group 7"),
        ({"gbs_number": None}, "group 3 -> no group"),
        ({"lineup_memo_id": 1, "lineup_memo": '방 "함께"'}, r'memo "방 \"함께\""'),
        (
            {"lineup_memo_id": 1, "lineup_memo": "", "lineup_memocolor": "#FECACA"},
            'memo #FECACA ""',
        ),
        ({"total_count": 5}, "5 in the group"),
        ({"updated_at": "later"}, "updated"),
    ],
)
def test_a_changed_row_is_told_by_what_is_different(change: dict[str, object], words: str) -> None:
    changed = msgspec.structs.replace(ROW, revision=9, **change)
    assert describe(RowUpdated(changed), {5: ROW}) == f"r9 김하늘 (#5): {words}"


def test_a_deleted_memo_is_told() -> None:
    former = msgspec.structs.replace(ROW, lineup_memo_id=1, lineup_memo="x")
    assert describe(RowUpdated(ROW), {5: former}).endswith(": memo deleted")


def test_a_row_never_seen_before_is_told_by_its_group() -> None:
    assert describe(RowUpdated(ROW), {}) == "r8 김하늘 (#5): group 3"


def test_a_list_is_told_by_its_length() -> None:
    assert describe(ListReplaced((ROW,), 8), {}) == "r8 the list: 1 people"


def test_presence_is_told_by_names_or_ids() -> None:
    users = (PresentPerson(1, "이슬", 2), PresentPerson(2, "", 1))
    assert describe(PresenceChanged(users, 2), {}) == "2 in the room: 이슬, #2"


@pytest.mark.parametrize(
    ("editing", "words"),
    [(True, "이슬 edits 김하늘, gbsNumber"), (False, "이슬 no longer edits 김하늘, gbsNumber")],
)
def test_editing_is_told_with_the_persons_name(editing: bool, words: str) -> None:
    mark = EditingMarked(5, 1, 1, "이슬", "gbsNumber", editing)
    assert describe(mark, {5: ROW}) == words


def test_an_error_event_is_told_with_its_code() -> None:
    assert describe(ServerError("TOKEN_EXPIRED", "Token expired"), {}) == (
        "TOKEN_EXPIRED: Token expired"
    )
