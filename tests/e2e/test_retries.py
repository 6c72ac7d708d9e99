"""Stock clients with ``retries``: they repeat what nobody answers, and it takes effect once."""

from __future__ import annotations

from collections import Counter
from uuid import uuid4

from tests.e2e.drivers import Driver
from tests.e2e.in_room import (
    COMES_BACK,
    assignment,
    empty_group,
    in_room,
    lose_network,
    until_carried_out,
    until_settled,
)
from tests.e2e.relay import relay_to
from tests.e2e.screen import Row
from tests.e2e.server_process import ServerProcess
from tests.faults.database import contents


async def times_logged(server: ServerProcess, command_id: str) -> int:
    log = (await contents(server)).log
    return Counter(str(entry.command_id) for entry in log)[command_id]


async def test_a_command_repeated_for_want_of_an_answer_takes_effect_once(
    any_driver: Driver, server: ServerProcess, person: Row
) -> None:
    retrying = {"retries": 100, "ackTimeout": 300}  # by the last one it has its answer
    async with (
        relay_to(server) as relay,
        in_room([any_driver], relay.url, options=retrying) as (client,),
    ):
        command = assignment(person, empty_group(), commandId=str(uuid4()))
        sent = (await client.facts()).sent
        relay.hold_answers()
        under_way = await client.begin(*command)
        while (await client.facts()).sent < sent + 2:
            pass  # the client has not repeated it yet
        relay.release_answers()
        answer = await client.acknowledged(under_way)
        assert (answer["status"], answer["data"]["gbsNumber"]) == ("OK", command[1]["gbsNumber"])
        # The next one is not sent before the former is answered.
        following = assignment(person, empty_group())
        assert (await client.ask(*following))["data"]["gbsNumber"] == following[1]["gbsNumber"]
    assert await times_logged(server, command[1]["commandId"]) == 1


async def test_a_command_repeated_over_a_recovered_connection_takes_effect_once(
    any_driver: Driver, server: ServerProcess, person: Row
) -> None:
    # Without a time-out the client takes answers for errors; this one is not what ends it.
    retrying = {**COMES_BACK, "retries": 10, "ackTimeout": 60_000}
    async with (
        relay_to(server) as relay,
        in_room([any_driver], relay.url, options=retrying, auth={"recovery": True}) as (client,),
    ):
        await until_settled([any_driver], [client])
        await client.ask(*assignment(person, empty_group()))  # something to come back with
        command = assignment(person, empty_group(), commandId=str(uuid4()))
        relay.hold_answers()
        under_way = await client.begin(*command)
        await until_carried_out(server, command)
        await lose_network(relay, [client])
        relay.release_answers()
        relay.reopen()
        answer = await client.acknowledged(under_way)
        assert (answer["status"], answer["data"]["gbsNumber"]) == ("OK", command[1]["gbsNumber"])
        assert (await client.facts()).recovered
    assert await times_logged(server, command[1]["commandId"]) == 1
