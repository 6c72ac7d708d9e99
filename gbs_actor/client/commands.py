"""The commands of a client: what it can change in the line-up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from uuid import UUID

from gbs_actor.client.checks import check_action, check_assignment, check_integer
from gbs_actor.client.replies import ChangeResult, Reply
from gbs_actor.client.view import LineupView
from gbs_actor.contract.commands import BY_ACTION
from gbs_actor.contract.events import CommandEvent
from gbs_actor.contract.payloads import GuardBody
from gbs_actor.contract.planned_payloads import (
    AssignLeadersBody,
    AssignmentBody,
    BulkBody,
    CreateGroupsBody,
    DeleteGroupBody,
    GroupBody,
    GroupMemoBody,
    UndoBody,
)
from gbs_actor.lineup.commands import (
    Action,
    Assignment,
    AssignNumber,
    CreateMemo,
    DeleteMemo,
    OnConflict,
    UpdateMemo,
)
from gbs_actor.lineup.records import Row
from gbs_actor.lineup.rules import check_group_number


class LineupCommands(ABC):
    """The commands of :class:`~gbs_actor.client.Client`, which sends them.

    :param view: gets the rows of their replies.
    :param new_id: returns a random id.
    """

    def __init__(self, view: LineupView, new_id: Callable[[], UUID]) -> None:
        self._view = view
        self._new_id = new_id

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

    async def bulk_assign(
        self,
        assignments: Iterable[Assignment],
        *,
        apply_lineup_number: bool = False,
        on_conflict: OnConflict = "refuse",
        base_revision: int | None = None,
        command_id: UUID | None = None,
    ) -> ChangeResult:
        """Change fields of many people as one change.

        :param assignments: 1 to 2,000; their order has no meaning.
        :param apply_lineup_number: otherwise their line-up numbers do not count.
        :param on_conflict: what becomes of an assignment with a problem: ``refuse`` fails the
            call, with all :attr:`CommandFailed.problems`; ``skip`` leaves it out.
        :param base_revision: of the assignments that have none of their own.

        Other arguments and exceptions as for :meth:`assign`.
        """
        items = list(assignments)
        for item in items:
            check_assignment(item)
        body = BulkBody(
            assignments=[AssignmentBody.of(item) for item in items],
            apply_lineup_number=apply_lineup_number,
            on_conflict=on_conflict,
        )
        return await self._change(CommandEvent.BULK_ASSIGN_GBS, body, base_revision, command_id)

    async def create_groups(
        self, numbers: Iterable[int], *, command_id: UUID | None = None
    ) -> ChangeResult:
        """Create groups; those that exist stay as they are. This needs a join.

        :param numbers: 1 to 1,000 of them, each 1 to 9999; e.g. ``range(1, 13)``.

        Other arguments and exceptions as for :meth:`assign`.
        """
        given = [check_group_number(number) for number in numbers]
        if len(given) == 2:
            given.append(given[0])  # two alone would be a range
        body = CreateGroupsBody(gbs_numbers=[*given])
        return await self._change(CommandEvent.CREATE_GBS, body, None, command_id)

    async def delete_group(
        self,
        number: int,
        *,
        if_empty: bool = False,
        base_revision: int | None = None,
        command_id: UUID | None = None,
    ) -> ChangeResult:
        """Delete a group and its memo; its members are in no group then, and lead none.

        :param if_empty: fail with ``GROUP_NOT_EMPTY`` if it has members.

        Other arguments and exceptions as for :meth:`create_groups` and :meth:`assign`.
        """
        body = DeleteGroupBody(gbs_number=check_group_number(number), if_empty=if_empty)
        return await self._change(CommandEvent.DELETE_GBS, body, base_revision, command_id)

    async def assign_leaders(
        self,
        number: int,
        user_ids: Iterable[int],
        *,
        base_revision: int | None = None,
        command_id: UUID | None = None,
    ) -> ChangeResult:
        """Put people into a group as its leaders, in addition to those it has.

        :param user_ids: 1 to 100 of them; a row's ``user_id``.

        Other arguments and exceptions as for :meth:`delete_group`.
        """
        ids = list(user_ids)
        for user_id in ids:
            check_integer("user_ids", user_id)
        body = AssignLeadersBody(gbs_number=check_group_number(number), leader_user_ids=[*ids])
        return await self._change(CommandEvent.ASSIGN_GBS_LEADERS, body, base_revision, command_id)

    async def unassign_leaders(
        self,
        number: int,
        *,
        base_revision: int | None = None,
        command_id: UUID | None = None,
    ) -> ChangeResult:
        """Make the leaders of a group ordinary members. Raises as :meth:`delete_group` does."""
        body = GroupBody(gbs_number=check_group_number(number))
        return await self._change(
            CommandEvent.UNASSIGN_GBS_LEADERS, body, base_revision, command_id
        )

    async def update_group_memo(
        self,
        number: int,
        memo: str,
        *,
        base_revision: int | None = None,
        command_id: UUID | None = None,
    ) -> ChangeResult:
        """Write a group's memo.

        :param memo: at most 500 characters.

        Other arguments and exceptions as for :meth:`delete_group`.
        """
        body = GroupMemoBody(gbs_number=check_group_number(number), memo=memo)
        return await self._change(
            CommandEvent.UPDATE_LINEUP_GBS_MEMO, body, base_revision, command_id
        )

    async def delete_group_memo(
        self,
        number: int,
        *,
        base_revision: int | None = None,
        command_id: UUID | None = None,
    ) -> ChangeResult:
        """Delete a group's memo. Raises as :meth:`delete_group` does."""
        body = GroupBody(gbs_number=check_group_number(number))
        return await self._change(
            CommandEvent.DELETE_LINEUP_GBS_MEMO, body, base_revision, command_id
        )

    async def undo(
        self,
        change: UUID | int,
        *,
        epoch: str | None = None,
        on_conflict: OnConflict = "refuse",
        command_id: UUID | None = None,
    ) -> ChangeResult:
        """Put back what an earlier change has written; to undo an undo is to redo.

        :param change: the id of its command, or its revision.
        :param epoch: of that revision; ``None``: that of the list joined.
        :param on_conflict: what becomes of a field that was changed since: ``refuse`` fails
            the call with ``CONFLICT``, ``skip`` leaves it out.
        :param command_id: of the undo itself.
        :raises CommandFailed: e.g. ``FORBIDDEN``: somebody else made the change;
            ``HISTORY_PRUNED``: it is too old.

        Other exceptions as for :meth:`create_groups`.
        """
        command_id = command_id or self._new_id()
        body = UndoBody(idempotency_key=command_id, on_conflict=on_conflict)
        if isinstance(change, UUID):
            body.command_id = change
        else:
            check_integer("change", change)
            body.revision, body.epoch = change, epoch or self.epoch
        return await self._result(CommandEvent.UNDO, body, command_id)

    @property
    @abstractmethod
    def epoch(self) -> str | None:
        """The opaque epoch of the revisions; ``None`` before a join."""

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
        check_action(action, base_revision)
        command_id = command_id or self._new_id()
        spec = BY_ACTION[type(action)]
        argument = {**spec.argument(action), "commandId": str(command_id)}
        if base_revision is not None:
            argument["baseRevision"] = base_revision
        reply = await self._send(spec.event, argument, command_id, self._merge_reply)
        row = reply.row()
        assert row is not None
        return row

    async def _change(
        self,
        event: CommandEvent,
        body: GuardBody,
        base_revision: int | None,
        command_id: UUID | None,
    ) -> ChangeResult:
        if base_revision is not None:
            check_integer("base_revision", base_revision)
        body.base_revision = base_revision
        body.command_id = command_id = command_id or self._new_id()
        return await self._result(event, body, command_id)

    async def _result(self, event: CommandEvent, body: GuardBody, command_id: UUID) -> ChangeResult:
        result: ChangeResult | None = None

        def receive(reply: Reply) -> None:
            nonlocal result
            if reply.ok:
                result = reply.result()
                self._view.note_revision(result.revision)

        await self._send(event, body, command_id, receive)
        assert result is not None
        return result

    def _merge_reply(self, reply: Reply) -> None:
        row = reply.row()
        if row is not None:
            self._view.merge_answer(row, reply.revision if reply.ok else None)
