"""The schedules of a retreat as the columns of a sheet: their order and their labels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from gbs_actor.lineup.schedules import Schedule, ScheduleKind

_WEEKDAYS: Final = "월화수목금토일"
_KINDS: Final = {
    ScheduleKind.BREAKFAST: "아",
    ScheduleKind.LUNCH: "점",
    ScheduleKind.DINNER: "저",
    ScheduleKind.SLEEP: "숙",
}
_LABEL: Final = re.compile(f"[{_WEEKDAYS}][{''.join(_KINDS.values())}][0-9]*")


def labelled(schedules: Iterable[Schedule]) -> Mapping[str, Schedule]:
    """Return the schedules by label, in time order.

    A label is the weekday in Korea and the kind: ``수점`` is a lunch on Wednesday. From the
    second of the same weekday and kind on, it has a number: ``수점2``.
    """
    kinds = list(ScheduleKind)
    count: Counter[str] = Counter()
    labels = {}
    for schedule in sorted(schedules, key=lambda s: (s.starts_at, kinds.index(s.kind), s.id)):
        label = _WEEKDAYS[schedule.day.weekday()] + _KINDS[schedule.kind]
        count[label] += 1
        labels[label if count[label] == 1 else f"{label}{count[label]}"] = schedule
    return labels


def is_label(text: str) -> bool:
    """Return whether a column's name reads like the label of a schedule."""
    return _LABEL.fullmatch(text) is not None
