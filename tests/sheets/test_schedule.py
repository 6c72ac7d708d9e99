from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gbs_actor.lineup.schedules import Schedule, ScheduleKind
from gbs_actor.sheets.schedule import is_label, labelled
from tests.sheets.making import LABELS, SCHEDULES

NOON = datetime(2026, 1, 7, 3, 0, tzinfo=UTC)


def test_labels_are_the_weekday_and_the_kind_in_korean_time() -> None:
    assert tuple(labelled(reversed(SCHEDULES))) == LABELS
    assert [schedule.id for schedule in labelled(SCHEDULES).values()] == [11, 12, 13, 14, 15]


def test_the_weekday_is_koreas_not_that_of_utc() -> None:
    early = Schedule(1, datetime(2026, 1, 6, 22, 0, tzinfo=UTC), ScheduleKind.BREAKFAST)
    assert list(labelled([early])) == ["수아"]
    other = timezone(timedelta(hours=-8))
    assert list(labelled([Schedule(1, NOON.astimezone(other), ScheduleKind.LUNCH)])) == ["수점"]


def test_at_equal_times_breakfast_goes_first_and_sleep_last() -> None:
    schedules = [Schedule(id_, NOON, kind) for id_, kind in enumerate(reversed(ScheduleKind))]
    assert list(labelled(schedules)) == ["수아", "수점", "수저", "수숙"]


def test_a_second_one_of_the_same_weekday_and_kind_has_a_number() -> None:
    weeks = [Schedule(9 - n, NOON + timedelta(weeks=n), ScheduleKind.LUNCH) for n in range(3)]
    assert {label: each.id for label, each in labelled(weeks).items()} == {
        "수점": 9,
        "수점2": 8,
        "수점3": 7,
    }


@pytest.mark.parametrize("label", ["월아", "화점", "수저", "목숙", "금점2"])
def test_labels_are_recognised(label: str) -> None:
    assert is_label(label)


@pytest.mark.parametrize("text", ["", "월", "월요일", "버스", "아월", "월아침", "이름"])
def test_other_names_are_no_labels(text: str) -> None:
    assert not is_label(text)
