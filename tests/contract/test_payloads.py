from __future__ import annotations

import json
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.contract import payloads
from gbs_actor.contract.command_spec import CommandRequest
from gbs_actor.contract.commands import BY_EVENT
from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.lineup.commands import AssignNumber, Author, CreateMemo, DeleteMemo, UpdateMemo

ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
AUTHOR = Author(1, "김하늘", 1)

COMPLETE: dict[str, dict[str, Any]] = {
    "update-gbs-number": {"lineupId": 7, "gbsNumber": 3},
    "create-lineup-memo": {"lineupId": 7, "memo": "허리", "color": "#FECACA"},
    "update-lineup-memo": {"memoId": 7, "memo": "허리", "color": "#FECACA"},
    "delete-lineup-memo": {"memoId": 7},
}


def refused(event: str, payload: object) -> InvalidPayload:
    return refused_raw(event, json.dumps(payload).encode())


def refused_raw(event: str, raw: bytes) -> InvalidPayload:
    with pytest.raises(InvalidPayload) as caught:
        BY_EVENT[event].decode(raw)
    return caught.value


def decoded(event: str, payload: object) -> CommandRequest:
    return BY_EVENT[event].decode(json.dumps(payload).encode())


# Where a mutation belongs, and what it rests on


@pytest.mark.parametrize("event", COMPLETE)
def test_every_mutation_may_name_its_retreat_and_epoch(event: str) -> None:
    plain = decoded(event, COMPLETE[event])
    assert (plain.retreat_slug, plain.epoch) == (None, None)
    nulls = decoded(event, {**COMPLETE[event], "retreatSlug": None, "epoch": None})
    assert nulls == plain
    named = decoded(event, {**COMPLETE[event], "retreatSlug": "2024-winter", "epoch": "e"})
    assert (named.retreat_slug, named.epoch, named.action) == ("2024-winter", "e", plain.action)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("retreatSlug", slug) for slug in ("", ".", "..")),
        *((name, value) for name in ("retreatSlug", "epoch") for value in ("a\0", 7, "x" * 201)),
    ],
)
def test_a_retreat_or_epoch_that_cannot_be_is_refused(field: str, value: object) -> None:
    error = refused("delete-lineup-memo", {"memoId": 7, field: value})
    assert error.field == field


def test_a_command_outside_its_room_is_marked_as_such() -> None:
    request = decoded("delete-lineup-memo", {"memoId": 7, "epoch": "e"})
    assert request.command(AUTHOR, uuid4).epoch == "e"
    assert not request.command(AUTHOR, uuid4).outside_room
    assert request.command(AUTHOR, uuid4, outside_room=True).outside_room


# Ids


@pytest.mark.parametrize("name", ["lineupId", "userRetreatRegistrationId"])
@pytest.mark.parametrize("value", [7, "7", "0007"])
def test_both_spellings_of_a_registration_id_are_read_as_number_or_digits(
    name: str, value: object
) -> None:
    request = decoded("update-gbs-number", {name: value, "gbsNumber": 3})
    assert request.action == AssignNumber(7, 3)


@pytest.mark.parametrize("name", ["memoId", "userRetreatRegistrationMemoId"])
@pytest.mark.parametrize("value", [7, "7"])
def test_both_spellings_of_a_memo_id_are_read_as_number_or_digits(name: str, value: object) -> None:
    assert decoded("delete-lineup-memo", {name: value}).action == DeleteMemo(7)


def test_both_spellings_given_and_equal_are_one_id() -> None:
    payload = {"lineupId": 7, "userRetreatRegistrationId": "7", "gbsNumber": 3}
    assert decoded("update-gbs-number", payload).action == AssignNumber(7, 3)


def test_both_spellings_given_and_different_are_refused() -> None:
    payload = {"lineupId": 7, "userRetreatRegistrationId": 8, "gbsNumber": 3}
    assert "differ" in refused("update-gbs-number", payload).message


def test_both_memo_spellings_given_and_different_are_refused() -> None:
    payload = {"memoId": 7, "userRetreatRegistrationMemoId": 8}
    assert "differ" in refused("delete-lineup-memo", payload).message


def test_a_null_id_counts_as_not_given() -> None:
    payload = {"lineupId": None, "userRetreatRegistrationId": 7, "gbsNumber": 3}
    assert decoded("update-gbs-number", payload).action == AssignNumber(7, 3)


@pytest.mark.parametrize("event", sorted(COMPLETE))
def test_an_id_is_required(event: str) -> None:
    rest = {k: v for k, v in COMPLETE[event].items() if not k.endswith("Id")}
    assert "is required" in refused(event, rest).message


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        2**63,
        1.5,
        1e300,
        True,
        [7],
        {"id": 7},
        "",
        " 7",
        "7 ",
        "+7",
        "-7",
        "7.0",
        "0x7",
        "1_0",
        "٧",
        "７",
        "7\u0000",
        "0",
        "1" * 20,
        "9" * 19,
        "seven",
    ],
)
@pytest.mark.parametrize("event", sorted(COMPLETE))
def test_an_id_that_is_none_is_refused_by_name(event: str, value: object) -> None:
    name = next(key for key in COMPLETE[event] if key.endswith("Id"))
    error = refused(event, {**COMPLETE[event], name: value})
    assert error.field == name
    assert name in error.message


def test_the_largest_id_of_the_database_is_accepted() -> None:
    assert decoded("delete-lineup-memo", {"memoId": str(2**63 - 1)}).action == DeleteMemo(2**63 - 1)


# gbsNumber


@pytest.mark.parametrize("number", [1, 9999, None])
def test_a_number_between_1_and_9999_or_null_is_accepted(number: int | None) -> None:
    request = decoded("update-gbs-number", {"lineupId": 7, "gbsNumber": number})
    assert request.action == AssignNumber(7, number)


def test_an_absent_number_is_refused_since_it_is_not_null() -> None:
    error = refused("update-gbs-number", {"lineupId": 7})
    assert (error.field, error.message) == ("gbsNumber", "gbsNumber is required.")


@pytest.mark.parametrize("number", [0, -1, 10_000, 2**70, 3.5, 1e300, True, False, "3", "", [], {}])
def test_a_number_out_of_range_or_of_another_type_is_refused(number: object) -> None:
    assert refused("update-gbs-number", {"lineupId": 7, "gbsNumber": number}).field == "gbsNumber"


# Memos


def test_a_memo_is_trimmed() -> None:
    request = decoded("create-lineup-memo", {"lineupId": 7, "memo": "  허리 \n"})
    assert request.action == CreateMemo(7, "허리", "")


@pytest.mark.parametrize("color", ["transparent", "", None])
def test_every_way_to_say_no_colour_means_none(color: str | None) -> None:
    request = decoded("update-lineup-memo", {"memoId": 7, "memo": "a", "color": color})
    assert request.action == UpdateMemo(7, "a", "")


def test_an_absent_colour_on_update_clears_it() -> None:
    assert decoded("update-lineup-memo", {"memoId": 7, "memo": "a"}).action == UpdateMemo(
        7, "a", ""
    )


def test_an_empty_memo_with_a_colour_is_accepted() -> None:
    request = decoded("create-lineup-memo", {"lineupId": 7, "memo": " ", "color": "#FECACA"})
    assert request.action == CreateMemo(7, "", "#FECACA")


def test_an_empty_memo_without_a_colour_is_refused() -> None:
    assert refused("create-lineup-memo", {"lineupId": 7, "memo": " "}).field == "memo"


def test_2000_characters_are_accepted_and_one_more_is_not() -> None:
    fits = decoded("create-lineup-memo", {"lineupId": 7, "memo": "가" * 2_000})
    assert fits.action == CreateMemo(7, "가" * 2_000, "")
    assert refused("create-lineup-memo", {"lineupId": 7, "memo": "가" * 2_001}).field == "memo"


@pytest.mark.parametrize("event", ["create-lineup-memo", "update-lineup-memo"])
@pytest.mark.parametrize("memo", [None, 1, True, [], {}, "a\u0000b"])
def test_a_memo_that_is_no_text_is_refused(event: str, memo: object) -> None:
    assert refused(event, {**COMPLETE[event], "memo": memo}).field == "memo"


@pytest.mark.parametrize("event", ["create-lineup-memo", "update-lineup-memo"])
def test_a_memo_is_required(event: str) -> None:
    rest = {k: v for k, v in COMPLETE[event].items() if k != "memo"}
    assert refused(event, rest).message == "memo is required."


@pytest.mark.parametrize("event", ["create-lineup-memo", "update-lineup-memo"])
@pytest.mark.parametrize(
    "color", ["red", "#FFF", "#GGGGGG", "#FECACA ", 1, True, [], "#fecaca\u0000"]
)
def test_a_colour_that_is_none_is_refused(event: str, color: object) -> None:
    assert refused(event, {**COMPLETE[event], "color": color}).field == "color"


# baseRevision, commandId


@pytest.mark.parametrize("event", sorted(COMPLETE))
def test_base_revision_and_command_id_are_read(event: str) -> None:
    request = decoded(event, {**COMPLETE[event], "baseRevision": 0, "commandId": ID})
    assert (request.base_revision, request.command_id) == (0, UUID(ID))


@pytest.mark.parametrize("event", sorted(COMPLETE))
@pytest.mark.parametrize("revision", [-1, 1.5, -1.0, 1e300, "1", True, 2**63, []])
def test_a_base_revision_that_is_no_revision_is_refused(event: str, revision: object) -> None:
    assert refused(event, {**COMPLETE[event], "baseRevision": revision}).field == "baseRevision"


@pytest.mark.parametrize("event", sorted(COMPLETE))
@pytest.mark.parametrize("command_id", ["", "x", 1, True, [], ID + "0", ID + "\u0000"])
def test_a_command_id_that_is_no_uuid_is_refused(event: str, command_id: object) -> None:
    assert refused(event, {**COMPLETE[event], "commandId": command_id}).field == "commandId"


def test_a_clients_command_id_is_marked_as_the_clients() -> None:
    request = decoded("delete-lineup-memo", {"memoId": 7, "commandId": ID})
    command = request.command(AUTHOR, uuid4)
    assert (command.id, command.client_made_id) == (UUID(ID), True)


def test_without_a_command_id_each_command_gets_one_of_its_own() -> None:
    request = decoded("delete-lineup-memo", {"memoId": 7})
    first, second = request.command(AUTHOR, uuid4), request.command(AUTHOR, uuid4)
    assert first.id != second.id
    assert not first.client_made_id


def test_a_whole_number_is_one_however_json_writes_it() -> None:
    payload = {"lineupId": 7.0, "gbsNumber": 3.0, "baseRevision": 5.0}
    request = decoded("update-gbs-number", payload)
    assert request.action == AssignNumber(7, 3)
    assert request.base_revision == 5
    assert isinstance(request.action, AssignNumber)
    assert [type(request.action.registration_id), type(request.action.gbs_number)] == [int, int]


# Whole payloads


@pytest.mark.parametrize("event", sorted(COMPLETE))
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"1",
        b'"7"',
        b"[]",
        b"true",
        b"{",
        b"{}x",
        b'{"lineupId":NaN}',
        b'{"memoId":"\\ud800"}',
        b'{"memoId":"\xff","lineupId":"\xff"}',
        b'{"x":' + b"[" * 200_000,
        b'{"x":' + b'{"a":' * 200_000,
        b'{"memoId":' + b"9" * 5_000 + b',"lineupId":' + b"9" * 5_000 + b"}",
    ],
)
def test_what_is_no_such_object_is_refused_without_any_other_exception(
    event: str, raw: bytes
) -> None:
    assert refused_raw(event, raw).message.endswith(".")


def test_unknown_fields_are_ignored() -> None:
    request = decoded("delete-lineup-memo", {"memoId": 7, "retreatSlug": "x", "later": [1]})
    assert request.action == DeleteMemo(7)


@pytest.mark.parametrize("event", sorted(COMPLETE))
@given(data=st.data())
def test_no_json_whatever_raises_anything_but_invalid_payload(
    event: str, data: st.DataObject
) -> None:
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    anything = st.recursive(
        scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6
    )
    keys = sorted({*COMPLETE[event], "baseRevision", "commandId"})
    payload = {**COMPLETE[event], data.draw(st.sampled_from(keys)): data.draw(anything)}
    raw = json.dumps(payload).encode("utf-8", "surrogatepass")
    with suppress(InvalidPayload):
        BY_EVENT[event].decode(raw)


@given(raw=st.binary(max_size=200))
def test_no_bytes_whatever_raise_anything_but_invalid_payload(raw: bytes) -> None:
    for decoder in (
        *(spec.decode for spec in BY_EVENT.values()),
        payloads.decode_join,
        payloads.decode_leave,
        payloads.decode_editing,
        payloads.decode_authenticate,
    ):
        with suppress(InvalidPayload):
            decoder(raw)


# join-retreat, leave-retreat, user-editing, authenticate


def test_a_join_takes_a_bare_slug() -> None:
    assert payloads.decode_join(b'"2024-winter"') == payloads.JoinRequest("2024-winter")


def test_a_slug_of_200_characters_is_taken() -> None:
    slug = "한" * 200
    assert payloads.decode_join(f'"{slug}"'.encode()) == payloads.JoinRequest(slug)


def test_a_join_takes_an_object_with_what_the_client_has() -> None:
    raw = b'{"retreatSlug":"2024-winter","since":5,"epoch":"e"}'
    assert payloads.decode_join(raw) == payloads.JoinRequest("2024-winter", 5, "e")


@pytest.mark.parametrize(
    "payload",
    [
        None,
        1,
        "",
        "a" * 201,
        "a\u0000",
        [],
        {},
        {"retreatSlug": None},
        {"retreatSlug": ""},
        {"retreatSlug": 1},
        {"retreatSlug": "a", "since": -1},
        {"retreatSlug": "a", "since": 1.5},
        {"retreatSlug": "a", "since": "1"},
        {"retreatSlug": "a", "since": True},
        {"retreatSlug": "a", "epoch": 1},
        {"retreatSlug": "a", "epoch": "\u0000"},
    ],
)
def test_a_malformed_join_is_refused(payload: object) -> None:
    with pytest.raises(InvalidPayload):
        payloads.decode_join(json.dumps(payload).encode())


@pytest.mark.parametrize("raw", [b'"2024-winter"', b'{"retreatSlug":"2024-winter"}'])
def test_a_leave_takes_a_slug_in_both_forms(raw: bytes) -> None:
    assert payloads.decode_leave(raw) == payloads.LeaveRequest("2024-winter")


@pytest.mark.parametrize("raw", [b"null", b"1", b'""', b"{}", b'{"retreatSlug":null}'])
def test_a_malformed_leave_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidPayload):
        payloads.decode_leave(raw)


def test_editing_begins_unless_said_otherwise() -> None:
    request = payloads.decode_editing(b'{"lineupId":7}')
    assert request == payloads.EditingRequest(7, None, editing=True)


def test_editing_takes_a_field_and_an_end() -> None:
    raw = b'{"userRetreatRegistrationId":"7","field":"lineupMemo","editing":false}'
    assert payloads.decode_editing(raw) == payloads.EditingRequest(7, "lineupMemo", editing=False)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"lineupId": 7, "field": 1},
        {"lineupId": 7, "field": "x" * 65},
        {"lineupId": 7, "field": "\u0000"},
        {"lineupId": 7, "editing": None},
        {"lineupId": 7, "editing": 1},
        {"lineupId": 7, "editing": "true"},
        "7",
    ],
)
def test_a_malformed_editing_mark_is_refused(payload: object) -> None:
    with pytest.raises(InvalidPayload):
        payloads.decode_editing(json.dumps(payload).encode())


def test_authenticate_takes_a_token() -> None:
    assert payloads.decode_authenticate(b'{"token":"a.b.c"}').token == "a.b.c"


@pytest.mark.parametrize("raw", [b"{}", b'{"token":""}', b'{"token":1}', b'{"token":null}', b'"a"'])
def test_a_malformed_authenticate_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidPayload):
        payloads.decode_authenticate(raw)
