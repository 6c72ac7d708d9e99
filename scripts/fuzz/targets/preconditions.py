"""``Idempotency-Key`` and ``If-Match``: understood as written, or refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar
from uuid import UUID

from werkzeug.datastructures import Headers

from gbs_actor.contract.commands import CommandRequest
from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.gateway.http.preconditions import base_revision, command_id, guarded
from gbs_actor.lineup.commands import DeleteMemo
from scripts.fuzz.choices import Choices
from scripts.fuzz.target import Target

T = TypeVar("T")

_ID: Final = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
_KEYS: Final = (
    _ID, f'"{_ID}"', _ID.upper(), _ID.replace("-", ""), "", '"', '""', f'"{_ID}', f"{_ID},{_ID}",
    f"{{{_ID}}}", f" {_ID}", "x" * 1_000, f'"{_ID}";a=b', "\xff", f"''{_ID}''", f'""{_ID}""',
)  # fmt: skip
_MATCHES: Final = (
    "17", '"17"', "*", "", "0", '"0"', 'W/"17"', '"17", "18"', "17,18", "-1", "9" * 19, "9" * 20,
    str(2**63 - 1), str(2**63), '"', '""', '"*"', "007", " 17", "1e3", "٣", "17\n", "9" * 10_000,
    '"17', '17"', "0" * 19, "0" * 20,
)  # fmt: skip
_UUID: Final = re.compile(
    r'("?)([0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\1', re.IGNORECASE | re.ASCII
)
_REVISION: Final = re.compile(r'("?)([0-9]{1,19})\1')


def check(data: bytes) -> None:
    choices = Choices(data)
    keys = _values(choices, _KEYS)
    matches = _values(choices, _MATCHES)
    headers = Headers(
        [(choices.pick(("Idempotency-Key", "idempotency-key")), value) for value in keys]
        + [(choices.pick(("If-Match", "if-match")), value) for value in matches]
    )
    good_key, key = _one(keys, _key)
    good_match, match = _one(matches, _match)
    said_id = choices.pick((None, UUID(_ID), UUID(int=1)))
    said_revision = choices.pick((None, 17, 0))
    try:
        assert command_id(headers) == key
        assert good_key
    except InvalidPayload:
        assert not good_key, "a good key is refused"
    try:
        assert base_revision(headers) == match
        assert good_match
    except InvalidPayload:
        assert not good_match, "a good revision is refused"
    request = CommandRequest(DeleteMemo(1), said_id, said_revision)
    agree = key in {None, said_id} or said_id is None
    agree = agree and (match in {None, said_revision} or said_revision is None)
    try:
        result = guarded(request, headers)
    except InvalidPayload:
        assert not (good_key and good_match and agree)
        return
    assert good_key
    assert good_match
    assert agree
    assert result.action is request.action
    assert result.command_id == (said_id if key is None else key)
    assert result.base_revision == (said_revision if match is None else match)


def _values(choices: Choices, good: tuple[str, ...]) -> list[str]:
    values = []
    for _ in range(choices.pick((1, 1, 1, 0, 2))):
        text = choices.pick(good)
        if choices.flip(4):
            at = choices.below(len(text) + 1)
            text = text[:at] + choices.take(3).decode("latin-1") + text[at + choices.below(3) :]
        values.append(re.sub(r"[\r\n]", "", text))  # cannot stand in a header
    return values


def _one(values: list[str], meaning: Callable[[str], T | None]) -> tuple[bool, T | None]:
    if not values:
        return True, None
    if len(values) > 1:
        return False, None
    try:
        return True, meaning(values[0])
    except ValueError:
        return False, None


def _key(text: str) -> UUID:
    found = _UUID.fullmatch(text)
    if found is None:
        raise ValueError
    return UUID(found[2])


def _match(text: str) -> int | None:
    if text == "*":
        return None
    found = _REVISION.fullmatch(text)
    if found is None or int(found[2]) > 2**63 - 1:
        raise ValueError
    return int(found[2])


TARGET = Target("preconditions", check, max_size=48, slice=2_000)
