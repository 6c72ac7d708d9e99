"""Made-up retreats with people as they really register, for demonstrations and load tests."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final, TypeVar

from gbs_actor.lineup.records import Gender, UserType
from gbs_actor.store.protocol import AdminStore, RetreatExists
from gbs_actor.store.seed.seed import (
    RetreatSeed,
    SeedGrade,
    SeedPerson,
    SeedSchedule,
    SeedUnivGroup,
)

T = TypeVar("T")

logger = logging.getLogger(__name__)

DEFAULT_RETREATS: Final = (("2024-winter", 80), ("2024-summer", 600))
"""Slug and number of people of the retreats that a fresh demonstration starts with."""

PALETTE: Final = (
    "transparent",
    "#FECACA",
    "#FED7AA",
    "#FEF08A",
    "#BBF7D0",
    "#BAE6FD",
    "#C7D2FE",
    "#E9D5FF",
    "#E5E5E5",
)
"""The memo colours that the line-up page offers."""

LARGEST: Final = 20_000
"""The most people a retreat can be made of; their groups still have four-digit numbers."""

# Surnames with their share of the population in per mille.
_SURNAMES: Final = {
    "김": 215, "이": 147, "박": 84, "최": 47, "정": 43, "강": 24, "조": 21, "윤": 21, "장": 20,
    "임": 17, "한": 15, "오": 15, "서": 15, "신": 15, "권": 14, "황": 14, "안": 14, "송": 14,
    "류": 13, "홍": 11, "전": 11, "고": 9, "문": 9, "양": 9, "손": 9, "배": 8, "백": 8, "허": 7,
    "남": 5, "심": 5, "노": 5, "하": 5, "곽": 4, "성": 4, "차": 4, "주": 4, "우": 4, "구": 4,
    "민": 3, "유": 3, "진": 3, "지": 3, "엄": 3, "채": 3, "원": 3, "천": 2, "방": 2, "남궁": 1,
}  # fmt: skip

_MALE_NAMES: Final = (
    "민준", "서준", "도윤", "예준", "시우", "하준", "주원", "지호", "지후", "준서", "준우", "현우",
    "도현", "지훈", "건우", "우진", "선우", "서진", "민재", "현준", "연우", "유준", "정우", "승우",
    "승현", "시윤", "준혁", "은우", "지환", "승민", "지우", "유찬", "윤우", "민성", "준영", "시후",
    "진우", "지원", "수현", "재윤", "동현", "태윤", "민규", "재원", "한결", "성민", "요한", "다윗",
    "은찬", "찬영", "성훈", "상현", "요셉", "주찬", "하람", "영광", "결", "솔",
)  # fmt: skip

_FEMALE_NAMES: Final = (
    "서연", "서윤", "지우", "서현", "하은", "하윤", "민서", "지유", "윤서", "채원", "수아", "지민",
    "지아", "지윤", "다은", "은서", "예은", "소율", "예린", "수빈", "소윤", "예원", "지원", "유진",
    "시은", "채은", "윤아", "유나", "가은", "서영", "민지", "예진", "수민", "수연", "연우", "예나",
    "주은", "시연", "아인", "현서", "다연", "서아", "하린", "나연", "혜원", "은채", "사랑", "주희",
    "소망", "은혜", "찬미", "혜린", "하영", "보민", "유빈", "세은", "별", "봄",
)  # fmt: skip

_GRADES: Final = (
    SeedGrade(1, "1학년"),
    SeedGrade(2, "2학년"),
    SeedGrade(3, "3학년"),
    SeedGrade(4, "4학년"),
    SeedGrade(5, "졸업반"),
)
_UNIV_GROUPS: Final = tuple(
    SeedUnivGroup(number, f"대학{number}부", _GRADES) for number in range(1, 9)
)

# Name, day of the retreat and hour in Korea.
_SCHEDULES: Final = (
    ("첫째 날 저녁", 0, 18),
    ("첫째 날 숙박", 0, 22),
    ("둘째 날 점심", 1, 12),
    ("둘째 날 저녁", 1, 18),
    ("둘째 날 숙박", 1, 22),
    ("셋째 날 점심", 2, 12),
)

_MEMOS: Final = (
    "찬양팀", "방송팀", "새가족", "늦게 도착", "조장 요청", "친구랑 같은 조로", "첫 수련회",
    "둘째 날 합류", "차량 지원 가능", "지난 수련회와 다른 조로", "동생과 다른 조로", "통학 예정",
    "토요일 저녁에 먼저 나감", "리더와 먼저 통화하기", "말씀 나눔 잘함", "조용한 편",
    "같은 학교 친구가 없음", "미디어팀 리허설로 늦음", "주일에 처음 나옴", "무릎이 불편함",
    "3조 지우랑 같이 왔어요", "교환학생, 영어가 편함", "작년 조원들과 다시 만나고 싶어 함",
)  # fmt: skip

_HISTORY_MEMOS: Final = (
    "지난 여름 조 편성 확인 필요",
    "지난 수련회 때 조를 옮김",
    "조 변경 요청, 답을 기다리는 중",
    "같은 학년 위주로 부탁함",
)

_ADMIN_MEMOS: Final = (
    "회비 확인 필요",
    "부모님 연락처 받음",
    "견과류 알레르기",
    "셔틀버스 2호차",
    "숙소 변경 요청",
    "할인 적용",
)

_GROUP_MEMOS: Final = ("조장 교체 예정", "새가족 많음", "4학년 모임", "찬양팀 조", "3층 소예배실")

_SEOUL: Final = timedelta(hours=9)
_SEASONS: Final = {"winter": ("겨울", 1, 18), "summer": ("여름", 7, 11)}


@dataclass(frozen=True, slots=True)
class _Occasion:
    """Which retreat a slug names."""

    title: str
    first_day: datetime
    """Midnight in Korea of the first day, in UTC."""


def demo_retreat(slug: str, people: int, seed: int = 0) -> RetreatSeed:
    """Make up a retreat; the same arguments always give the same one.

    About nine in ten people are in groups of four, each with a leader; the rest is still
    to be assigned.

    :param slug: the retreat's name; ``<year>-winter`` and ``<year>-summer`` give it a
        fitting title and dates.
    :param people: how many, 1 to 20,000.
    :param seed: another one gives other people.
    :raises ValueError: ``people`` is out of range.
    """
    if not 1 <= people <= LARGEST:
        raise ValueError(f"a retreat is made of 1 to {LARGEST:,} people, not of {people}")
    # Seeded with a text, Random hashes it itself: the same in every process.
    random = Random(f"{slug} {people} {seed}")  # noqa: S311  (made-up people, no secret)
    occasion = _occasion(slug)
    groups = people * 9 // 40
    leaders = _leaders_of_grades(random)
    phones = _phone_numbers(random)
    registered = [_registration(random, occasion, leaders, next(phones)) for _ in range(people)]
    return RetreatSeed(
        slug=slug,
        title=occasion.title,
        univ_groups=_UNIV_GROUPS,
        schedules=tuple(
            SeedSchedule(name, occasion.first_day + timedelta(days=day, hours=hour))
            for name, day, hour in _SCHEDULES
        ),
        people=tuple(_assigned(random, registered, groups)),
        group_memos=tuple(
            (number, random.choice(_GROUP_MEMOS))
            for number in range(1, groups + 1)
            if _one_in(random, 10)
        ),
    )


async def add_demo_retreats(store: AdminStore) -> None:
    """Put in the demo's retreats that are not there; touch none that is.

    Cancellation leaves each of them either in the store or not, and none half.
    """
    present = set(await store.retreats())
    for slug, people in DEFAULT_RETREATS:
        if slug in present:
            continue
        try:
            await store.import_retreat(demo_retreat(slug, people))
        except RetreatExists:
            continue  # another program was faster
        logger.info("put in the demo retreat %s with %d people", slug, people)


def _occasion(slug: str) -> _Occasion:
    found = re.fullmatch(r"([12][0-9]{3})-(winter|summer)", slug)
    year, season = (found[1], found[2]) if found else ("2024", "winter")
    name, month, day = _SEASONS[season]
    return _Occasion(
        title=f"{year} {name} 수련회" if found else slug,
        first_day=datetime(int(year), month, day, tzinfo=UTC) - _SEOUL,
    )


def _leaders_of_grades(random: Random) -> dict[tuple[int, int], str]:
    """Return who leads each grade of each department during the year."""
    return {
        (group.number, grade.number): _name(random, random.choice(list(Gender)))
        for group in _UNIV_GROUPS
        for grade in group.grades
    }


def _registration(
    random: Random, occasion: _Occasion, leaders: dict[tuple[int, int], str], phone_number: str
) -> SeedPerson:
    gender = random.choice(list(Gender))
    univ_group = random.choice(_UNIV_GROUPS).number
    grade = random.choice(_GRADES).number
    text, color = _memo(random)
    return SeedPerson(
        name=_name(random, gender),
        gender=gender,
        phone_number=phone_number,
        univ_group_number=univ_group,
        grade_number=grade,
        current_leader=leaders[univ_group, grade],
        is_leader=False,
        user_type=_user_type(random, gender, grade),
        schedules=_schedules(random),
        # Registration is open for three weeks and ends ten days before the retreat.
        registered_at=occasion.first_day
        - timedelta(days=10)
        - timedelta(milliseconds=random.randrange(21 * 24 * 3600 * 1000)),
        memo=text,
        memo_color=color,
        unresolved_lineup_history_memo=(
            random.choice(_HISTORY_MEMOS) if _one_in(random, 20) else None
        ),
        admin_memo=random.choice(_ADMIN_MEMOS) if _one_in(random, 15) else None,
    )


def _assigned(random: Random, people: Sequence[SeedPerson], groups: int) -> Iterator[SeedPerson]:
    """Yield the same people with leaders named and groups formed."""
    # Leaders are the seniors of the retreat who come for all of it.
    seniority = sorted(
        range(len(people)),
        key=lambda index: (
            people[index].user_type is not None,
            len(people[index].schedules) < len(_SCHEDULES),
            people[index].grade_number < 3,
        ),
    )
    leading, others = seniority[:groups], seniority[groups:]
    random.shuffle(leading)
    random.shuffle(others)
    numbers = {index: number for number, index in enumerate(leading, start=1)}
    for position, index in enumerate(others[: 3 * groups]):
        numbers[index] = position // 3 + 1
    chosen = frozenset(leading)
    for index, person in enumerate(people):
        yield replace(person, is_leader=index in chosen, gbs_number=numbers.get(index))


def _name(random: Random, gender: Gender) -> str:
    given = _MALE_NAMES if gender is Gender.MALE else _FEMALE_NAMES
    return _weighted(random, _SURNAMES) + random.choice(given)


def _weighted(random: Random, weights: dict[T, int]) -> T:
    return random.choices(list(weights), list(weights.values()))[0]


def _phone_numbers(random: Random) -> Iterator[str]:
    """Yield mobile numbers, no two alike."""
    seen: set[int] = set()
    while True:
        number = random.randrange(2000_0000, 9999_9999)
        if number not in seen:
            seen.add(number)
            yield f"010-{number // 10_000:04}-{number % 10_000:04}"


def _user_type(random: Random, gender: Gender, grade: int) -> UserType | None:
    if grade == 1 and _one_in(random, 4):
        return UserType.NEW_COMER
    if gender is Gender.MALE and grade in {2, 3} and _one_in(random, 8):
        return UserType.SOLDIER
    return UserType.STAFF if grade >= 3 and _one_in(random, 12) else None


def _schedules(random: Random) -> tuple[int, ...]:
    """Two in three come for all of it, the others later or leave earlier."""
    every = tuple(range(len(_SCHEDULES)))
    if not _one_in(random, 3):
        return every
    cut = random.randrange(1, len(every))
    return every[cut:] if random.random() < 0.5 else every[:cut]


def _memo(random: Random) -> tuple[str, str]:
    """One in four has a memo, some of them only a colour."""
    if not _one_in(random, 4):
        return "", ""
    color = random.choice(PALETTE)
    text = "" if color != "transparent" and _one_in(random, 6) else random.choice(_MEMOS)
    return text, "" if color == "transparent" else color


def _one_in(random: Random, count: int) -> bool:
    return random.randrange(count) == 0
