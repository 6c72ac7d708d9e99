"""The canonical form of what a command asks for."""

from __future__ import annotations

from typing import assert_never

import msgspec

from gbs_actor.lineup.changes import Kind
from gbs_actor.lineup.commands import Action, AssignNumber, CreateMemo, DeleteMemo, UpdateMemo


def request_bytes(action: Action) -> bytes:
    """Return the canonical JSON of an action, to tell a repeat from another request.

    Equal actions give equal bytes, different ones different bytes. What a command rests
    on (``baseRevision``) and its id are no part of it.

    :raises UnicodeEncodeError: a text with lone surrogates, which no command has that
        went through :func:`~gbs_actor.lineup.rules.clean_memo`.
    """
    return msgspec.json.encode(_members(action))


def _members(action: Action) -> dict[str, str | int | None]:
    # Members in alphabetical order: the form must not hang on how this is written down.
    match action:
        case AssignNumber(registration_id, gbs_number):
            return {
                "action": Kind.ASSIGN_NUMBER,
                "gbsNumber": gbs_number,
                "registrationId": registration_id,
            }
        case CreateMemo(registration_id, text, color):
            return {
                "action": Kind.CREATE_MEMO,
                "color": color,
                "memo": text,
                "registrationId": registration_id,
            }
        case UpdateMemo(memo_id, text, color):
            return {
                "action": Kind.UPDATE_MEMO,
                "color": color,
                "memo": text,
                "memoId": memo_id,
            }
        case DeleteMemo(memo_id):
            return {"action": Kind.DELETE_MEMO, "memoId": memo_id}
        case _:
            assert_never(action)
