"""What nodes send of the people in their rooms: fit for a message, bounded, in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.bus.message import MAX_READ, MAX_SIZE, Message, Sender, encode, read
from gbs_actor.bus.presence import (
    MAX_MARKS,
    MAX_NODES,
    MAX_REQUESTED,
    MAX_USERS,
    ConnectionMark,
    Mark,
    People,
    Person,
    Record,
    Request,
    encoded,
    requests,
)
from gbs_actor.bus.record_queue import RecordQueue
from gbs_actor.contract.decoding import InvalidPayload

IDS = st.integers(min_value=-(2**63), max_value=2**63 - 1)
NAMES = st.text(max_size=100)
PEOPLE = st.builds(
    People,
    IDS,
    st.integers(0, 1_000_000),
    st.lists(st.builds(Person, IDS, NAMES, st.integers(1, 9)), max_size=MAX_USERS).map(tuple),
    st.lists(IDS, max_size=MAX_MARKS).map(tuple),
)
MARKS = st.builds(
    ConnectionMark,
    IDS,
    IDS,
    st.none() | st.builds(Mark, IDS, st.none() | st.text(max_size=64), IDS, IDS, NAMES),
)
REQUESTS = st.builds(
    Request,
    st.lists(st.text("ab-", max_size=16), max_size=MAX_NODES).map(tuple),
    st.lists(IDS, max_size=MAX_REQUESTED).map(tuple),
)
SENDER = Sender("a", "x7")


def sent(*records: Record) -> list[Message]:
    """Return records as other nodes read them."""
    messages = encode(SENDER, 1, (), [(record, encoded(record)) for record in records])
    assert all(len(data) <= MAX_SIZE for data in messages)
    return [read(data) for data in messages]


@given(st.lists(PEOPLE | MARKS | REQUESTS, max_size=20))
def test_what_is_sent_is_read_and_of_people_as_many_as_fit(records: list[Record]) -> None:
    messages = sent(*records)
    assert [mark for message in messages for mark in message.editing] == [
        record for record in records if isinstance(record, ConnectionMark)
    ]
    assert [request for message in messages for request in message.wanted] == [
        record for record in records if isinstance(record, Request)
    ]
    people = [record for record in records if isinstance(record, People)]
    read_ = [each for message in messages for each in message.people]
    for before, after in zip(people, read_, strict=True):
        assert (after.retreat_id, after.total) == (before.retreat_id, before.total)
        assert after.marked == before.marked
        assert after.users == before.users[: len(after.users)]
        assert len(after.users) == len(before.users) or len(after.users) >= 5


def test_a_hundred_users_of_usual_names_fit() -> None:
    users = tuple(Person(10_000_000 + n, "남궁민수영", 3) for n in range(MAX_USERS))
    (message,) = sent(People(12, 2_000, users, tuple(range(MAX_MARKS))))
    assert message.people[0].users == users


def test_any_number_of_rooms_is_asked_for() -> None:
    ids = list(range(2_000))
    asked = list(requests(("b", "c"), ids))
    assert [id_ for request in asked for id_ in request.retreat_ids] == ids
    assert {request.nodes for request in asked} == {("b", "c")}


@pytest.mark.parametrize(
    "fields",
    [
        '"people":[[9223372036854775808,0,[],[]]]',
        '"people":[[12,-1,[],[]]]',
        '"people":[[12,1,[[1,"a",0]],[]]]',
        '"people":[[12,1,[[1,"a",9999999999]],[]]]',
        '"people":[[12,1,[[1,"%s",1]],[]]]' % ("x" * 101),
        '"people":[[12,1,[{}],[]]]'.format(",".join(['[1,"",1]'] * 101)),
        '"people":[[12,1,[],[{}]]]'.format(",".join(["1"] * 201)),
        '"people":[[]]',
        '"editing":[[12,1,[7,"%s",1,1,"a"]]]' % ("x" * 65),
        '"editing":[[12,1,[7,null,1,1,"\\ud800"]]]',
        '"editing":[[12,1,["7",null,1,1,"a"]]]',
        '"wanted":[[[1],[12]]]',
        '"wanted":%s' % ("[" * 10_000),
        '"hints":[{}]'.format(",".join(['[1,"e",1]'] * 8_000)),
    ],
)
def test_what_is_not_fit_for_clients_is_refused(fields: str) -> None:
    with pytest.raises(InvalidPayload):
        read(b'{"v":1,"node":"a","serial":1,"run":"x",%s}' % fields.encode())


def test_a_message_that_is_too_long_is_not_looked_at() -> None:
    with pytest.raises(InvalidPayload, match="65536"):
        read(b'{"v":1,"node":"a","serial":1,"more":"%s"}' % (b"x" * MAX_READ))


def test_what_a_later_version_adds_to_presence_is_ignored() -> None:
    text = '{"v":1,"node":"a","serial":7,"run":"x","people":[[12,1,[[1,"a",1,"new"]],[],{}]]}'
    assert read(text.encode()).people == (People(12, 1, (Person(1, "a", 1),)),)


# -- what waits


def mark(number: int, registration_id: int | None = None) -> ConnectionMark:
    place = None if registration_id is None else Mark(registration_id, None, 1, 1, "a")
    return ConnectionMark(12, number, place)


def test_of_each_room_and_connection_only_the_latest_is_sent_in_their_order() -> None:
    queue = RecordQueue(10)
    for record in (People(12, 1), mark(1, 7), People(13, 1), mark(1), People(12, 2)):
        queue.put(record)
    assert [record for record, _ in queue.take(1_000)] == [People(13, 1), mark(1), People(12, 2)]
    assert not len(queue)
    assert not queue.take_gap()


def test_not_all_is_taken_at_once() -> None:
    queue = RecordQueue(100)
    for number in range(100):
        queue.put(mark(number, 7))
    first = [record for record, _ in queue.take(500)]
    rest = [record for record, _ in queue.take(100_000)]
    assert 10 < len(first) < 50
    assert first + rest == [mark(number, 7) for number in range(100)]


def test_more_than_may_wait_is_a_gap() -> None:
    queue = RecordQueue(2)
    for number in range(3):
        queue.put(mark(number))
    assert [record for record, _ in queue.take(1_000)] == [mark(2)]
    assert queue.take_gap()
    assert not queue.take_gap()


def test_what_is_dropped_is_a_gap_and_nothing_is_none() -> None:
    queue = RecordQueue(2)
    queue.drop()
    assert not queue.take_gap()
    queue.put(mark(1))
    queue.drop()
    assert queue.take_gap()
    assert queue.take(1_000) == []
