"""Stock clients that edit while they are offline: their queue runs ahead of the page's join."""

from __future__ import annotations

from collections import Counter
from uuid import uuid4

import pytest

from gbs_actor.client import connect
from tests.e2e.drivers import Driver
from tests.e2e.in_room import (
    COMES_BACK,
    Command,
    assignment,
    empty_group,
    in_room,
    listed,
    lose_network,
    until_carried_out,
    until_settled,
    until_shown,
)
from tests.e2e.relay import relay_to
from tests.e2e.screen import Row
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token
from tests.faults.database import contents

MANY = 200


async def times_logged(server: ServerProcess, command: Command) -> int:
    log = (await contents(server)).log
    return Counter(str(entry.command_id) for entry in log)[command[1]["commandId"]]


async def test_what_is_edited_offline_is_carried_out_before_the_join(
    any_driver: Driver, server: ServerProcess, people: list[Row]
) -> None:
    async with (
        relay_to(server) as relay,
        in_room([any_driver], relay.url, options=COMES_BACK) as (client,),
        connect(server.url, token(20)) as member,
    ):
        await member.join(RETREAT)
        await until_settled([any_driver], [client])
        await lose_network(relay, [client])
        mark = len(client.happened)
        commands = [assignment(person, empty_group()) for person in people[:3]]
        commands.append(("create-lineup-memo", {"lineupId": people[3]["id"], "memo": "오프라인"}))
        queued = [await client.begin(*command) for command in commands]
        relay.reopen()
        for (_, wanted), emitted in zip(commands, queued, strict=True):
            ack = await client.acknowledged(emitted)
            assert (ack["status"], ack["revision"]) == ("OK", None)
            assert ack["data"]["gbsNumber"] == wanted.get("gbsNumber", people[3]["gbsNumber"])
        assert "lineup-updated" not in {it.name for it in client.happened[mark:]}
        assert (await client.ask("join-retreat", RETREAT))["full"] is True
        rows = await listed(server)
        await until_shown(client, rows)
        assert rows[people[3]["id"]]["lineupMemo"] == "오프라인"
        await member.until(lambda it: it.revision == max(row["revision"] for row in rows.values()))


@pytest.mark.parametrize("turn", range(3))
async def test_a_repeat_that_runs_ahead_of_the_join_gets_the_answer_that_was_lost(
    any_driver: Driver, server: ServerProcess, person: Row, turn: int
) -> None:
    del turn
    # Without a time-out the client takes answers for errors; this one is not what ends it.
    retrying = {**COMES_BACK, "retries": 10, "ackTimeout": 60_000}
    async with (
        relay_to(server) as relay,
        in_room([any_driver], relay.url, options=retrying) as (client,),
    ):
        await until_settled([any_driver], [client])
        command = assignment(person, empty_group(), commandId=str(uuid4()))
        relay.hold_answers()
        under_way = await client.begin(*command)
        await until_carried_out(server, command)
        mark = len(client.happened)
        await lose_network(relay, [client])
        relay.release_answers()
        relay.reopen()
        await client.event("connect", since=mark)
        join = await client.begin("join-retreat", RETREAT)
        ack = await client.acknowledged(under_way)
        assert (ack["status"], ack["data"]["gbsNumber"]) == ("OK", command[1]["gbsNumber"])
        assert not (await client.facts()).recovered
        assert (await client.acknowledged(join))["status"] == "OK"
        await until_shown(client, await listed(server))
    assert await times_logged(server, command) == 1


async def test_an_offline_edit_overwrites_nothing_of_somebody_else(
    any_driver: Driver, server: ServerProcess, person: Row, other_person: Row
) -> None:
    async with (
        relay_to(server) as relay,
        in_room([any_driver], relay.url, options=COMES_BACK) as (client,),
        connect(server.url, token(20, "이수진")) as other,
    ):
        await other.join(RETREAT)
        await until_settled([any_driver], [client])
        await lose_network(relay, [client])
        number = empty_group()
        theirs = await other.assign(person["id"], number)
        mine = await client.begin(*assignment(person, empty_group()))
        untouched = await client.begin(*assignment(other_person, empty_group()))
        relay.reopen()
        ack = await client.acknowledged(mine)
        assert (ack["status"], ack["code"]) == ("ERROR", "CONFLICT")
        assert (ack["data"]["gbsNumber"], ack["data"]["revision"]) == (number, theirs.revision)
        assert (ack["conflict"]["changedBy"], ack["conflict"]["theirs"]) == ("이수진", number)
        assert (await client.acknowledged(untouched))["status"] == "OK"


async def test_a_long_queue_is_acknowledged_in_its_order_and_before_the_join(
    any_driver: Driver, people: list[Row], page: str
) -> None:
    with running_server(environment={"GBS_ALLOWED_ORIGINS": page}) as server:
        async with (
            relay_to(server) as relay,
            in_room([any_driver], relay.url, options=COMES_BACK) as (client,),
        ):
            await until_settled([any_driver], [client])
            await lose_network(relay, [client])
            queued = [
                await client.begin(*assignment(people[at % 20], 2_000 + at)) for at in range(MANY)
            ]
            mark = len(client.happened)
            relay.reopen()
            await client.event("connect", since=mark)
            join = await client.begin("join-retreat", RETREAT)
            acks = [await client.acknowledged(emitted) for emitted in queued]
            assert [ack.get("code") for ack in acks if ack["status"] != "OK"] == []
            answered = [it.value for it in client.happened[mark:] if it.name == "ack"]
            assert [ack["data"]["gbsNumber"] for ack in answered[:MANY]] == [
                2_000 + at for at in range(MANY)
            ]
            assert (await client.acknowledged(join))["status"] == "OK"
            await until_shown(client, await listed(server))
