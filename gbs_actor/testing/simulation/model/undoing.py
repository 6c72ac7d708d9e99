"""What an undo puts back, at one revision of a line-up."""

from __future__ import annotations

from collections.abc import Mapping

from gbs_actor.testing.simulation.model.cells import (
    EXISTS,
    GROUP_MEMO,
    LEADER,
    MEMO,
    NUMBER,
    Cell,
    Key,
    Written,
)
from gbs_actor.testing.simulation.model.view import View


class Undoing:
    """The undo of one change, all that is free to be put back.

    :param view: the line-up that it is decided on.
    :param undone: the revision of the change.
    """

    def __init__(self, view: View, undone: int) -> None:
        self.view = view
        self.undone = undone
        self.then = view.lineup.view(undone)
        """The line-up as the change left it."""
        self.written: Mapping[Key, Written] = view.lineup.written[undone]
        self.back: dict[Key, Cell] = {}
        """The cells whose values come back."""
        self.conflicts: list[Key] = []
        """What cannot be put back, or keeps something else from it."""
        self._put_back_values()
        self._keep_leaders_in_groups()
        self._put_back_groups()

    def _is_free(self, key: Key) -> bool:
        cell = self.view.cell(key)
        return self.undone in (cell.revision, cell.origin)

    def _put_back_values(self) -> None:
        returning = {
            key[1]
            for key, change in self.written.items()
            if key[2] == EXISTS and change.before.given.value
        }
        for key, change in self.written.items():
            number = key[1]
            if key[2] == EXISTS:
                continue
            gone = number is not None and not self.view.exists(number) and number not in returning
            if self._is_free(key) and not gone:
                self.back[key] = change.before
            else:
                self.conflicts.append(key)

    def _keep_leaders_in_groups(self) -> None:
        free = set(self.back)
        for id_ in {key[0] for key in self.written if key[0] is not None}:
            number, leader = (id_, None, NUMBER), (id_, None, LEADER)
            leads = self.back.get(leader, self.view.cell(leader)).given.value
            if leader in self.back and not self._is_as_left(number, free):
                self._leave_out(leader, number)
            if number in self.back and leads and not self._is_as_left(leader, free):
                self._leave_out(number, leader)

    def _is_as_left(self, key: Key, free: set[Key]) -> bool:
        if key in self.written:
            return key in free
        return self.view.cell(key).given is self.then.cell(key).given

    def _leave_out(self, key: Key, because: Key) -> None:
        del self.back[key]
        if because not in self.written:
            self.conflicts.append(because)

    def _put_back_groups(self) -> None:
        view = self.view
        numbers = {
            self.back.get(key, view.cell(key)).given.value
            for key in ((id_, None, NUMBER) for id_ in view.lineup.people)
        }
        filled = {c.after.given.value for key, c in self.written.items() if key[2] == NUMBER}
        for key, change in self.written.items():
            number = key[1]
            if key[2] != EXISTS or number is None:
                continue
            exists, existed = view.exists(number), change.before.given.value
            memo: Key = (None, number, GROUP_MEMO)
            if existed and not exists:
                self.back[key] = change.before
            elif exists and not existed:
                used = number in numbers or self.back.get(memo, view.cell(memo)).given.value
                if self._is_free(key) and not used:
                    self.back[key] = change.before
                elif number not in filled:
                    self.conflicts.append(key)

    def memo_id(self, key: Key) -> int | None:
        """Return the id of a memo that is put back; ``None``: a fresh one, or it is no memo."""
        return self.view.cell(key).memo_id if key[2] == MEMO else None
