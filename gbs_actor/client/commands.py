"""The commands of a client: what it can change in the line-up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from uuid import UUID, uuid4

from gbs_actor.client.replies import Reply
from gbs_actor.client.view import LineupView
from gbs_actor.contract.commands import BY_ACTION
from gbs_actor.lineup.commands import Action, AssignNumber, CreateMemo, DeleteMemo, UpdateMemo
from gbs_actor.lineup.records import Row
from gbs_actor.lineup.rules import InvalidValue, check_number


class LineupCommands(ABC):
    """The commands of :class:`~gbs_actor.client.Client`, which sends them.

    :param view: gets the rows of their replies.
    """

    def __init__(self, view: LineupView) -> None:
        self._view = view

    async def assign(
        self,
        registration_id: int,
        number: int | None,
        *,
        base_revision: int | None = None,
        command_id: UUID | None = None,
    ) -> Row:
        """Put a person into a numbered group; return their row.

        :param number: 1 to 9999, or ``None`` for no group.
        :param base_revision: the room revision that the user saw: if another value
            was set since, the call fails with ``CONFLICT``. ``None``: the later edit wins.
        :param command_id: to repeat an earlier call; ``None``: a fresh one.
        :raises ValueError: an id, the number or the revision is not an integer; nothing is sent.
        :raises CommandFailed: the server refused it, or sent only retryable replies.
        :raises Disconnected: no reply; the outcome is unknown, and its ``command_id``
            can be given again.

        Cancelled, the outcome is unknown too.
        """
        action = AssignNumber(registration_id, number)
        return await self._command(action, base_revision, command_id)

    async def create_memo(
        self,
        registration_id: int,
        memo: str,
        color: str | None = None,
        *,
        base_revision: int | None = None,
        command_id: UUID | None = None,
    ) -> Row:
        """Create the memo of a person without one; return their row.

        :param memo: at most 2,000 characters; may be empty only together with a colour.
        :param color: ``#RRGGBB``, or ``None``.

        Other arguments and exceptions as for :meth:`assign`.
        """
        action = CreateMemo(registration_id, memo, color or "")
        return await self._command(action, base_revision, command_id)

    async def update_memo(
        self,
        memo_id: int,
        memo: str,
        color: str | None = None,
        *,
        base_revision: int | None = None,
        command_id: UUID | None = None,
    ) -> Row:
        """Replace a memo's text and colour; return the person's row.

        :param memo_id: the row's ``lineup_memo_id``.

        Other arguments and exceptions as for :meth:`create_memo`.
        """
        action = UpdateMemo(memo_id, memo, color or "")
        return await self._command(action, base_revision, command_id)

    async def delete_memo(
        self,
        memo_id: int,
        *,
        base_revision: int | None = None,
        command_id: UUID | None = None,
    ) -> Row:
        """Delete a memo; return the person's row. Raises as :meth:`assign` does."""
        return await self._command(DeleteMemo(memo_id), base_revision, command_id)

    @abstractmethod
    async def _send(
        self, event: str, argument: object, command_id: UUID, on_reply: Callable[[Reply], None]
    ) -> Reply:
        """Send an event until a final reply arrives; raises as :meth:`assign` does."""

    async def _command(
        self,
        action: Action,
        base_revision: int | None,
        command_id: UUID | None,
    ) -> Row:
        _check(action, base_revision)
        command_id = command_id or uuid4()
        spec = BY_ACTION[type(action)]
        argument = {**spec.argument(action), "commandId": str(command_id)}
        if base_revision is not None:
            argument["baseRevision"] = base_revision
        reply = await self._send(spec.event, argument, command_id, self._merge_reply)
        row = reply.row()
        assert row is not None
        return row

    def _merge_reply(self, reply: Reply) -> None:
        row = reply.row()
        if row is not None:
            self._view.merge_answer(row, reply.revision if reply.ok else None)


def _check(action: Action, base_revision: int | None) -> None:
    """Refuse numbers that JSON would change: NaN becomes null, and null means "in no group".

    :raises InvalidValue: not an integer, or outside its range.
    """
    if isinstance(action, AssignNumber):
        check_number(action.gbs_number)
    if isinstance(action, UpdateMemo | DeleteMemo):
        _check_integer("memo_id", action.memo_id)
    elif isinstance(action, AssignNumber | CreateMemo):
        _check_integer("registration_id", action.registration_id)
    if base_revision is not None:
        _check_integer("base_revision", base_revision)


def _check_integer(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidValue(name, f"an integer is needed, not {value!r}")
