from __future__ import annotations

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime

import msgspec
import pytest

from gbs_actor.demo import DEFAULT_RETREATS, LARGEST, PALETTE, demo_retreat
from gbs_actor.lineup.board import Board
from gbs_actor.lineup.rules import clean_color, clean_memo
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.seed.seed import RetreatSeed, SeedPerson

SUMMER = demo_retreat("2024-summer", 600)


async def _board(seed: RetreatSeed) -> Board:
    store = MemoryStore()
    await store.import_retreat(seed)
    retreat = await store.load(seed.slug)
    assert retreat is not None
    return Board(retreat)


def _groups(seed: RetreatSeed) -> dict[int, list[SeedPerson]]:
    groups: dict[int, list[SeedPerson]] = {}
    for person in seed.people:
        if person.gbs_number is not None:
            groups.setdefault(person.gbs_number, []).append(person)
    return groups


def test_the_default_retreats_are_a_small_and_a_large_one() -> None:
    assert DEFAULT_RETREATS == (("2024-winter", 80), ("2024-summer", 600))


@pytest.mark.parametrize(("slug", "people"), DEFAULT_RETREATS)
async def test_a_demo_retreat_makes_a_board_of_as_many_people(slug: str, people: int) -> None:
    board = await _board(demo_retreat(slug, people))
    assert (board.slug, len(board)) == (slug, people)


def test_the_same_arguments_give_the_same_retreat() -> None:
    assert demo_retreat("2024-winter", 80, seed=3) == demo_retreat("2024-winter", 80, seed=3)


def test_another_process_with_another_hash_seed_makes_the_same_retreat() -> None:
    program = (
        "from gbs_actor.demo import demo_retreat\nimport sys\n"
        "sys.stdout.buffer.write(repr(demo_retreat('2024-winter', 80)).encode())"
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
            check=True,
            capture_output=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert made == {repr(demo_retreat("2024-winter", 80)).encode()}


def test_another_seed_and_another_slug_give_other_people() -> None:
    people = demo_retreat("2024-winter", 80).people
    assert demo_retreat("2024-winter", 80, seed=1).people != people
    assert demo_retreat("2025-winter", 80).people != people


def test_most_people_are_in_groups_of_four_and_some_in_none() -> None:
    groups = _groups(SUMMER)
    assert Counter(map(len, groups.values())) == {4: 135}
    assert sum(person.gbs_number is None for person in SUMMER.people) == 60


def test_every_group_has_one_leader_and_nobody_else_is_one() -> None:
    for group in _groups(SUMMER).values():
        assert sum(person.is_leader for person in group) == 1
    assert all(person.gbs_number for person in SUMMER.people if person.is_leader)


def test_leaders_are_experienced_and_come_for_all_of_it() -> None:
    for person in SUMMER.people:
        if person.is_leader:
            assert person.grade_number >= 3
            assert len(person.schedules) == len(SUMMER.schedules)


def test_a_grade_of_a_department_has_one_current_leader() -> None:
    leaders = {
        (person.univ_group_number, person.grade_number): person.current_leader
        for person in SUMMER.people
    }
    for person in SUMMER.people:
        assert person.current_leader == leaders[person.univ_group_number, person.grade_number]


def test_no_two_people_have_the_same_phone_number() -> None:
    numbers = {person.phone_number for person in SUMMER.people}
    assert len(numbers) == 600
    assert all(len(number) == 13 and number.startswith("010-") for number in numbers)


def test_memos_keep_the_rules_of_the_line_up() -> None:
    noted = [person for person in SUMMER.people if person.memo or person.memo_color]
    assert 100 < len(noted) < 200
    colors = {clean_color(color) for color in PALETTE}
    for person in noted:
        assert clean_memo(person.memo, person.memo_color) == (person.memo, person.memo_color)
        assert person.memo_color in colors


def test_the_line_up_has_something_of_everything_to_show() -> None:
    assert len({person.user_type for person in SUMMER.people}) == 4
    assert len({person.gender for person in SUMMER.people}) == 2
    assert len({person.memo_color for person in SUMMER.people}) == len(PALETTE)
    assert len({person.grade_number for person in SUMMER.people}) == 5
    assert any(person.admin_memo for person in SUMMER.people)
    assert any(person.unresolved_lineup_history_memo for person in SUMMER.people)
    assert any(not person.memo for person in SUMMER.people if person.memo_color)
    assert SUMMER.group_memos


def test_the_slug_tells_season_and_year() -> None:
    seed = demo_retreat("2025-summer", 5)
    assert seed.title == "2025 여름 수련회"
    assert seed.schedules[0].starts_at == datetime(2025, 7, 11, 9, 0, tzinfo=UTC)


def test_any_other_slug_is_its_own_title() -> None:
    assert demo_retreat("load-test", 5).title == "load-test"


def test_everybody_registers_before_the_retreat() -> None:
    first = min(schedule.starts_at for schedule in SUMMER.schedules)
    assert all(person.registered_at < first for person in SUMMER.people)


@pytest.mark.parametrize("people", [0, -1, LARGEST + 1])
def test_a_number_of_people_out_of_range_is_refused(people: int) -> None:
    with pytest.raises(ValueError, match="20,000 people"):
        demo_retreat("2024-winter", people)


@pytest.mark.parametrize("people", [1, 2, 5, 10_000])
async def test_a_retreat_of_any_size_makes_a_board(people: int) -> None:
    assert len(await _board(demo_retreat("load-test", people))) == people


async def test_the_list_of_the_small_retreat_has_the_weight_of_a_real_one() -> None:
    rows = (await _board(demo_retreat("2024-winter", 80))).rows()
    # 590 bytes of each row are names of members, times and the shortest of values.
    assert 48_000 < len(msgspec.json.encode(rows)) < 52_000
