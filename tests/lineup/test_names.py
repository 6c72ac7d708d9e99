"""Names that others see."""

from __future__ import annotations

import pytest

from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.lineup.names import shown_name
from gbs_actor.lineup.records import Stamp
from tests.lineup.making import at, board, registration, rejected


@pytest.mark.parametrize("name", ["김하늘", "Kim, Haneul", " 김하늘 ", "@haneul", "김 @ 홍대", "7"])
def test_a_name_is_shown_as_it_is(name: str) -> None:
    assert shown_name(name, 7, "haneul@example.org") == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "\t\u3000", "haneul@example.org", "김하늘 <haneul@example.org>", "root@localhost"],
)
def test_without_a_name_that_may_be_shown_it_is_the_number(name: str) -> None:
    assert shown_name(name, 7) == "사용자 7"


@pytest.mark.parametrize("name", ["haneul", "HANEUL ", "김하늘"])
def test_a_name_that_is_the_email_is_none_whatever_it_looks_like(name: str) -> None:
    assert shown_name(name, 7, name.strip().lower()) == "사용자 7"


def test_a_name_without_an_email_is_shown() -> None:
    assert shown_name("김하늘", 7, "") == "김하늘"


def test_a_conflict_does_not_show_an_email_that_was_stored_as_a_name() -> None:
    stamp = Stamp(4, 7, "haneul@example.org", at(30))
    it = board(registration(1, number=2, number_stamp=stamp), revision=4)
    rejection = rejected(it, AssignNumber(1, 3), base=1)
    assert rejection.code is Code.CONFLICT
    assert rejection.message == "사용자 7 has changed gbsNumber meanwhile"
    assert rejection.conflict is not None
    assert rejection.conflict.changed_by == "사용자 7"
