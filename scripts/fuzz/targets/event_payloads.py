"""What the line-up's events carry: only good payloads get through, and mean what they say.

Judge: the wire contract, spelled out over what the standard library's JSON decoder reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn
from uuid import UUID

from gbs_actor.contract import payloads
from gbs_actor.contract.commands import BY_EVENT, CommandRequest
from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.lineup.commands import AssignNumber, CreateMemo, DeleteMemo, UpdateMemo
from gbs_actor.lineup.rules import LAST_ID
from scripts.fuzz.choices import Choices
from scripts.fuzz.target import Target
from scripts.fuzz.values import scraps, spoil, value

_ID: Final = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
_FIELDS: Final[dict[str, tuple[Any, ...]]] = {
    "lineupId": (7, "7", None, 0, -1, 2**63 - 1, 2**63, "0007", "9" * 19, "9" * 5_000, "", " 7",
                 "٣", 7.0, True, [7], "7\n", "1" + "0" * 18),
    "userRetreatRegistrationId": (None, 7, "7", 8, "x"),
    "memoId": (7, "7", None, 0, 2**64, {}, "+7", 1e3),
    "userRetreatRegistrationMemoId": (None, 7, 9),
    "gbsNumber": (3, None, 1, 9_999, 10_000, 0, -1, "3", 3.0, False, 2**70),
    "memo": ("허리", "", "  x \n", "x" * 2_000, "x" * 2_001, " " * 3_000, "a\0b", None, 1,
             "\u2003"),
    "color": ("#fecaca", None, "", "transparent", "#FECAC", "red", "#fecacg", 1, "#٣٣٣٣٣٣"),
    "baseRevision": (5, None, 0, -1, 2**63 - 1, 2**63, "5", 1.0, True, 2**200),
    "commandId": (_ID, None, _ID.upper(), _ID.replace("-", ""), "x", "",
                  1, _ID + " ", f"{{{_ID}}}"),
    "retreatSlug": ("2024-winter", "", "x" * 200, "x" * 201, "a\0", None, 1, "한글", "/../"),
    "since": (5, None, 0, -1, 2**63, "5"),
    "epoch": ("e", None, "", "x" * 200, "x" * 201, "\0", 1),
    "field": ("gbsNumber", None, "x" * 64, "x" * 65, "\0", 1),
    "editing": (True, False, None, 1, "true"),
    "token": ("x", "", None, 1, "x\0"),
}  # fmt: skip
"""Values of each field, a good one first."""

_EVENTS: Final[dict[str, tuple[Callable[[bytes], Any], tuple[str, ...]]]] = {
    "update-gbs-number": (
        BY_EVENT["update-gbs-number"].decode,
        ("lineupId", "gbsNumber", "userRetreatRegistrationId", "baseRevision", "commandId"),
    ),
    "create-lineup-memo": (
        BY_EVENT["create-lineup-memo"].decode,
        ("lineupId", "memo", "color", "userRetreatRegistrationId", "baseRevision", "commandId"),
    ),
    "update-lineup-memo": (
        BY_EVENT["update-lineup-memo"].decode,
        ("memoId", "memo", "color", "userRetreatRegistrationMemoId", "baseRevision", "commandId"),
    ),
    "delete-lineup-memo": (
        BY_EVENT["delete-lineup-memo"].decode,
        ("memoId", "userRetreatRegistrationMemoId", "baseRevision", "commandId"),
    ),
    "join-retreat": (payloads.decode_join, ("retreatSlug", "since", "epoch")),
    "leave-retreat": (payloads.decode_leave, ("retreatSlug",)),
    "user-editing": (
        payloads.decode_editing,
        ("lineupId", "field", "editing", "userRetreatRegistrationId"),
    ),
    "authenticate": (payloads.decode_authenticate, ("token",)),
}
_ABSENT: Final = object()


class _Bad(Exception):
    """The contract refuses it."""


def check(data: bytes) -> None:
    choices = Choices(data)
    event = choices.pick(tuple(_EVENTS))
    decode, fields = _EVENTS[event]
    raw = _payload(choices, fields)
    try:
        expected: tuple[Any, ...] | None = _meaning(event, _json(raw))
    except _Bad:
        expected = None
    try:
        decoded = decode(raw)
    except InvalidPayload as refusal:
        assert expected is None or not _is_unicode(raw), (
            f"a good payload is refused: {refusal.message}"
        )
        assert refusal.message.endswith(".")
        assert len(refusal.message) < 1_000
        refusal.message.encode()
        return
    assert expected is not None, "a bad payload gets through"
    assert _as_tuple(decoded) == expected


def _payload(choices: Choices, fields: tuple[str, ...]) -> bytes:
    match choices.below(8):
        case 0:
            return choices.rest
        case 1:
            return scraps(choices).encode("utf-8", "surrogatepass")
        case 2:
            return json.dumps(value(choices)).encode()
        case 3:
            return json.dumps(choices.pick(_FIELDS["retreatSlug"])).encode()
    said: dict[str, Any] = {}
    for number, field in enumerate(fields):
        if number < 2 or choices.flip():
            values = _FIELDS[field]
            said[field] = choices.pick(values) if choices.flip(4) else values[0]
    if choices.flip(8):
        said[choices.text() or "more"] = value(choices)
    text = json.dumps(said, ensure_ascii=choices.flip())
    if choices.flip(4):
        text = spoil(choices, text)
    return text.encode("utf-8", "surrogatepass")


def _as_tuple(decoded: object) -> tuple[Any, ...]:
    match decoded:
        case CommandRequest(AssignNumber(registration, number), id_, base):
            return registration, number, id_, base
        case CommandRequest(
            (CreateMemo(thing, text, color) | UpdateMemo(thing, text, color)), id_, base
        ):
            return thing, text, color, id_, base
        case CommandRequest(DeleteMemo(memo), id_, base):
            return memo, id_, base
        case payloads.JoinRequest(slug, since, epoch):
            return slug, since, epoch
        case payloads.LeaveRequest(slug):
            return (slug,)
        case payloads.EditingRequest(registration, field, editing):
            return registration, field, editing
        case payloads.AuthenticateRequest(token):
            return (token,)
    raise AssertionError(decoded)


# The contract.


def _meaning(event: str, said: Any) -> tuple[Any, ...]:
    if event in {"join-retreat", "leave-retreat"} and isinstance(said, str):
        said = {"retreatSlug": said}
    if not isinstance(said, dict):
        raise _Bad
    get = said.get
    registration = ("lineupId", "userRetreatRegistrationId")
    memo = ("memoId", "userRetreatRegistrationMemoId")
    match event:
        case "update-gbs-number":
            number = get("gbsNumber", _ABSENT)
            _require(number is None or (_is_int(number) and 1 <= number <= 9_999))
            return _id(said, registration), number, *_guards(said)
        case "create-lineup-memo":
            return _id(said, registration), *_memo(said), *_guards(said)
        case "update-lineup-memo":
            return _id(said, memo), *_memo(said), *_guards(said)
        case "delete-lineup-memo":
            return _id(said, memo), *_guards(said)
        case "join-retreat":
            return _slug(said), _revision(get("since")), _text(get("epoch"), 200)
        case "leave-retreat":
            return (_slug(said),)
        case "user-editing":
            editing = get("editing", True)
            _require(isinstance(editing, bool))
            return _id(said, registration), _text(get("field"), 64), editing
        case _:
            token = get("token", _ABSENT)
            _require(isinstance(token, str) and token != "")
            return (token,)


def _require(condition: bool) -> None:
    if not condition:
        raise _Bad


def _is_int(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def _id(said: dict[str, Any], spellings: tuple[str, str]) -> int:
    found: set[int] = set()
    for name in spellings:
        given = said.get(name)
        if given is None:
            continue
        if isinstance(given, str):
            _require(re.fullmatch("[0-9]{1,19}", given) is not None)
            given = int(given)
        _require(_is_int(given) and 1 <= given <= LAST_ID)
        found.add(given)
    _require(len(found) == 1)
    return found.pop()


def _guards(said: dict[str, Any]) -> tuple[UUID | None, int | None]:
    given = said.get("commandId")
    command_id = None
    if given is not None:
        hexadecimal = "[0-9a-fA-F]"
        form = (
            f"{hexadecimal}{{32}}|{hexadecimal}{{8}}(-{hexadecimal}{{4}}){{3}}-{hexadecimal}{{12}}"
        )
        _require(isinstance(given, str) and re.fullmatch(form, given) is not None)
        command_id = UUID(given)
    return command_id, _revision(said.get("baseRevision"))


def _revision(given: Any) -> int | None:
    _require(given is None or (_is_int(given) and 0 <= given <= LAST_ID))
    return None if given is None else int(given)


def _memo(said: dict[str, Any]) -> tuple[str, str]:
    text, color = said.get("memo", _ABSENT), said.get("color")
    _require(isinstance(text, str) and (color is None or isinstance(color, str)))
    text = text.strip()
    color = "" if color in {None, "", "transparent"} else color.upper()
    _require(len(text) <= 2_000 and "\0" not in text)
    _require(color == "" or re.fullmatch("#[0-9A-F]{6}", color) is not None)
    _require(text != "" or color != "")
    return text, color


def _slug(said: dict[str, Any]) -> str:
    slug = said.get("retreatSlug", _ABSENT)
    _require(isinstance(slug, str) and 1 <= len(slug) <= 200 and "\0" not in slug)
    return str(slug)


def _text(given: Any, limit: int) -> str | None:
    _require(given is None or (isinstance(given, str) and len(given) <= limit))
    _require(given is None or "\0" not in given)
    return None if given is None else str(given)


def _json(raw: bytes) -> Any:
    try:
        # Fields that nobody asks for are skipped, whatever bytes they are made of.
        return json.loads(raw.decode(errors="replace"), parse_constant=_refuse, parse_float=_number)
    except (ValueError, RecursionError):
        raise _Bad from None


def _is_unicode(raw: bytes) -> bool:
    try:
        decoded = json.loads(raw.decode())
        json.dumps(decoded, ensure_ascii=False).encode()
    except ValueError:
        return False
    return True


def _number(text: str) -> float:
    """Read a whole number as one, however JSON writes it: 5.0, 50e-1."""
    number = float(text)
    return int(number) if number.is_integer() else number


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


TARGET = Target("event-payloads", check, max_size=96, slice=3_000)
