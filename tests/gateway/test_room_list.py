"""The rooms of a node as they are stored, and what somebody else may have stored instead."""

from __future__ import annotations

import zlib

import msgspec
import pytest
import trio
from msgspec.structs import replace

from gbs_actor.gateway.nodes import room_list
from gbs_actor.gateway.nodes.room_list import decode_rooms, encode
from gbs_actor.rooms import RoomSummary, RoomSupervisor
from gbs_actor.store.nodes import MAX_ROOMS
from gbs_actor.testing.store import SimStore
from tests.rooms.retreats import small_seed


@pytest.fixture
async def summary() -> RoomSummary:
    store = SimStore()
    await store.import_retreat(small_seed("winter"))
    async with RoomSupervisor(store).running() as supervisor:
        await supervisor.read("winter")
        (found,) = supervisor.statistics().rooms
        return found


def stored(*texts: bytes) -> bytes:
    return msgspec.msgpack.encode([zlib.compress(text, 9) for text in texts])


async def test_what_is_stored_is_read(summary: RoomSummary) -> None:
    rooms = [replace(summary, slug=f"retreat-{number}") for number in range(1_001)]
    read = await decode_rooms(await encode(iter(rooms)), "a")
    assert read == [replace(room, node="a") for room in rooms]


async def test_of_more_rooms_than_a_node_has_the_first_ones_are_stored_and_read(
    summary: RoomSummary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_list, "_MAX_TEXT", 200_000)
    rooms = [replace(summary, slug=f"retreat-{number}") for number in range(1_001)]
    read = await decode_rooms(await encode(iter(rooms)), "a")
    assert 100 <= len(read) < 1_000
    assert read == [replace(room, node="a") for room in rooms[: len(read)]]


async def test_what_would_become_large_is_not_read(summary: RoomSummary) -> None:
    one = msgspec.json.encode([summary])
    assert len(await decode_rooms(stored(one, one), "a")) == 2
    blank = b" " * 900_000
    assert await decode_rooms(stored(one, *[b"[" + blank + b"]"] * 100), "a") == []
    assert await decode_rooms(stored(one, b"[" + 2 * blank + b"]"), "a") == []
    assert await decode_rooms(stored(one, msgspec.json.encode([summary] * 51)), "a") == []
    assert await decode_rooms(stored(one, *[b"[]"] * 400), "a") == []
    long = msgspec.msgpack.encode([zlib.compress(one) + bytes(MAX_ROOMS)])
    assert await decode_rooms(long, "a") == []


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x91\xc4\x01x", stored(b"{}"), stored(b"[" * 9)])
async def test_what_cannot_be_read_is_no_room(data: bytes) -> None:
    with trio.fail_after(5):
        assert await decode_rooms(data, "a") == []
