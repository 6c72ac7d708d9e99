"""Socket.IO v5: events and acknowledgements, binary values, and what is none of these."""

from __future__ import annotations

import json

import pytest

from tests.conformance.clients import Packet, Site, Transport

ONE = '{"_placeholder":true,"num":0}'
TWO = '{"_placeholder":true,"num":1}'


# Events


async def test_an_event_comes_back(socketio: Site, transport: Transport) -> None:
    client = await socketio.join(transport)
    await client.send('42["message",1,"2",{"3":[true]}]')
    assert await client.receive() == '42["message-back",1,"2",{"3":[true]}]'


async def test_an_event_is_acknowledged(socketio: Site, transport: Transport) -> None:
    client = await socketio.join(transport)
    await client.send('42456["message-with-ack",1,"2",{"3":[false]}]')
    assert await client.receive() == '43456[1,"2",{"3":[false]}]'


@pytest.mark.parametrize("number", ["0", "1", "9007199254740991"])
async def test_every_number_may_ask_for_an_acknowledgement(
    socketio: Site, transport: Transport, number: str
) -> None:
    client = await socketio.join(transport)
    await client.send(f'42{number}["message-with-ack"]')
    assert await client.receive() == f"43{number}[]"


async def test_an_event_without_a_number_is_not_acknowledged(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.join(transport)
    await client.send('42["message-with-ack",1]', '42["message",2]')
    assert await client.receive() == '42["message-back",2]'


async def test_a_custom_namespace_acknowledges_under_its_name(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.open(transport)
    await client.connect("/custom")
    await client.send('42/custom,12["message-with-ack","abc"]')
    assert await client.receive() == '43/custom,12["abc"]'


async def test_an_event_without_a_handler_is_passed_over(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.join(transport)
    await client.send('42["unknown",1]', '42["message",2]')
    assert await client.receive() == '42["message-back",2]'


async def test_an_acknowledgement_that_nobody_waits_for_is_ignored(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.join(transport)
    await client.send("43999[1]", f"461-7[{ONE}]", b"abc", "43[]", '42["message",2]')
    assert await client.receive() == '42["message-back",2]'


async def test_events_are_answered_in_their_order(socketio: Site, transport: Transport) -> None:
    client = await socketio.join(transport)
    events = [f'42{n}["message-with-ack",{n}]' if n % 3 else f'42["message",{n}]'
              for n in range(100)]  # fmt: skip
    answers = [f"43{n}[{n}]" if n % 3 else f'42["message-back",{n}]' for n in range(100)]
    await client.send(*events)
    assert await client.receive_many(100) == answers


@pytest.mark.parametrize(
    "arguments",
    [
        "", ',""', ",null", ",[]", ",{}", ",true,false,null,0,-1,1.5,1e300",
        ',"한글 🙂"', ',"\\"\\\\/"', ',[[[[{"a":[{"b":null}]}]]]]', ',"a,b/c[1]{2}"',
        ",9007199254740991",
    ],
)  # fmt: skip
async def test_every_argument_comes_back_as_it_was(
    socketio: Site, transport: Transport, arguments: str
) -> None:
    client = await socketio.join(transport)
    await client.send(f'42["message"{arguments}]')
    answer = str(await client.receive())
    assert answer.startswith('42["message-back"')
    assert json.loads(answer[2:])[1:] == json.loads(f'["message"{arguments}]')[1:]


async def test_json_is_written_compactly(socketio: Site, transport: Transport) -> None:
    client = await socketio.join(transport)
    await client.send('42[ "message" , { "a" : [ 1 , 2 ] } , "\\ud55c\\uae00" ]')
    assert await client.receive() == '42["message-back",{"a":[1,2]},"한글"]'


async def test_a_large_event_comes_back(socketio: Site, transport: Transport) -> None:
    client = await socketio.join(transport)
    text = "x" * 900_000
    await client.send(f'42["message","{text}"]')
    assert await client.receive() == f'42["message-back","{text}"]'


# Binary values


async def test_an_event_with_binary_values_comes_back(socketio: Site, transport: Transport) -> None:
    client = await socketio.join(transport)
    await client.send(f'452-["message",{ONE},{TWO}]', b"\x01\x02\x03", b"\x04\x05\x06")
    assert await client.receive_many(3) == [
        f'452-["message-back",{ONE},{TWO}]',
        b"\x01\x02\x03",
        b"\x04\x05\x06",
    ]


async def test_an_event_with_binary_values_is_acknowledged(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.join(transport)
    await client.send(f'452-789["message-with-ack",{ONE},{TWO}]', b"\x01\x02\x03", b"\x04\x05\x06")
    assert await client.receive_many(3) == [
        f"462-789[{ONE},{TWO}]",
        b"\x01\x02\x03",
        b"\x04\x05\x06",
    ]


async def test_binary_values_may_stand_anywhere(socketio: Site, transport: Transport) -> None:
    client = await socketio.join(transport)
    await client.send(f'452-["message",{{"a":[1,{ONE},{{"b":{TWO}}}]}},"c"]', b"", b"\x00")
    assert await client.receive_many(3) == [
        f'452-["message-back",{{"a":[1,{ONE},{{"b":{TWO}}}]}},"c"]',
        b"",
        b"\x00",
    ]


async def test_binary_values_come_under_the_name_of_their_namespace(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.open(transport)
    await client.connect("/custom")
    await client.send(f'451-/custom,3["message-with-ack",{ONE}]', b"abc")
    assert await client.receive_many(2) == [f"461-/custom,3[{ONE}]", b"abc"]


async def test_one_binary_value_may_stand_in_two_places(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.join(transport)
    await client.send(f'451-["message",{ONE},{ONE}]', b"abc")
    head, *parts = await client.receive_many(3)
    assert head == f'452-["message-back",{ONE},{TWO}]'
    assert parts == [b"abc", b"abc"]


async def test_a_binary_event_may_have_no_binary_values(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.join(transport)
    await client.send('450-["message",1]')
    assert await client.receive() == '42["message-back",1]'


async def test_events_with_binary_values_follow_each_other(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.join(transport)
    sent: list[Packet] = []
    expected: list[Packet] = []
    for number in range(20):
        sent += [f'451-["message",{number},{ONE}]', bytes([number]), f'42["message",{number}]']
        expected += [
            f'451-["message-back",{number},{ONE}]',
            bytes([number]),
            f'42["message-back",{number}]',
        ]
    await client.send(*sent)
    assert await client.receive_many(60) == expected


async def test_ten_binary_values_are_taken_and_no_more(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.join(transport)
    places = ",".join(f'{{"_placeholder":true,"num":{n}}}' for n in range(10))
    await client.send(f'4510-["message",{places}]', *[bytes([n]) for n in range(10)])
    assert (await client.receive_many(11))[1:] == [bytes([n]) for n in range(10)]
    await client.refused('4511-["message"]')


async def test_binary_values_larger_than_a_megabyte_together_end_the_session(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.join(transport)
    await client.send(f'452-["message",{ONE},{TWO}]')
    await client.send(b"x" * 600_000)
    await client.refused(b"x" * 400_001)


# What ends the session


@pytest.mark.parametrize(
    "packet",
    [
        # unknown packet types
        "4", "4abc", "47", '48["message"]', '4-1["message"]',
        # what is no event
        "42", "42{}", '42"message"', "421", "42null", "42[", '42["message"', '42["message",]',
        '42["message"]x', "42[]", "42[{}]", "42[null]", "42[[]]",
        # numbers that are none
        '42abc["message-with-ack",1,"2",{"3":[false]}]', '42-1["message"]', '421.5["message"]',
        '4211111111111111111111["message"]',
        # reserved names
        '42["connect"]', '42["connect_error"]', '42["disconnect"]', '42["disconnecting"]',
        '42["newListener"]', '42["removeListener"]',
        # what is no acknowledgement
        "430", "430{}", '430"a"', "43x[]", "430[",
        # what only a server says
        '44{"message":"x"}', "44",
        # binary values that are not announced as they have to be
        '45["message"]', '451["message"]', '45-["message"]', '45x-["message"]', '46[1]', "461-",
        # namespaces that were never joined
        '42/custom,["message"]', "43/custom,0[]", "41/custom,", '451-/custom,["message"]',
        "42/custom", '42/custom["message"]',
    ],
)  # fmt: skip
async def test_a_packet_that_breaks_the_protocol_ends_the_session(
    socketio: Site, transport: Transport, packet: str
) -> None:
    client = await socketio.join(transport)
    binary = packet.startswith(("451-", "461-")) and "/custom" not in packet
    await client.refused(packet, *([b"abc"] if binary else []))


async def test_text_amid_binary_values_ends_the_session(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.join(transport)
    await client.refused(f'452-["message",{ONE},{TWO}]', b"abc", '42["message"]')


async def test_a_binary_value_that_was_not_announced_ends_the_session(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.join(transport)
    await client.refused(b"abc")


async def test_one_binary_value_too_many_ends_the_session(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.join(transport)
    await client.send("43999[]", f'451-["unknown",{ONE}]', b"abc")
    await client.refused(b"def")


async def test_what_comes_behind_such_a_packet_is_not_handled(
    socketio: Site, transport: Transport
) -> None:
    client = await socketio.join(transport)
    await client.refused("4abc", '42["message","late"]')
