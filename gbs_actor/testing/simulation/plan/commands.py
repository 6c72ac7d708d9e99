"""Draws commands: few people, groups, texts and ids, so that they meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final

from msgspec.structs import replace

from gbs_actor.contract.events import CommandEvent
from gbs_actor.testing.simulation.plan.profiles import Profile
from gbs_actor.testing.simulation.plan.steps import Invoke

Argument = dict[str, Any]

_TEXTS: Final = ("", "a", "b", " a ", "c")
_COLORS: Final = (None, None, "#FECACA", "#bbf7d0", "transparent")
_GROUPS: Final = 5
IDS: Final = 6
"""Different command ids."""

_USUAL: Final[Mapping[str, float]] = {
    CommandEvent.UPDATE_GBS_NUMBER: 8,
    CommandEvent.CREATE_LINEUP_MEMO: 4,
    CommandEvent.UPDATE_LINEUP_MEMO: 3,
    CommandEvent.DELETE_LINEUP_MEMO: 2,
    CommandEvent.BULK_ASSIGN_GBS: 3,
    CommandEvent.CREATE_GBS: 0.7,
    CommandEvent.DELETE_GBS: 1,
    CommandEvent.ASSIGN_GBS_LEADERS: 1,
    CommandEvent.UNASSIGN_GBS_LEADERS: 0.7,
    CommandEvent.UPDATE_LINEUP_GBS_MEMO: 1,
    CommandEvent.DELETE_LINEUP_GBS_MEMO: 0.5,
    CommandEvent.UNDO: 2,
}


class Commands:
    """Draws commands of clients and of other servers.

    :param people: of each retreat.
    """

    def __init__(self, random: Random, profile: Profile, people: int, retreats: int) -> None:
        self._random = random
        self._profile = profile
        self._people = people
        self._retreats = retreats
        self._given: list[Invoke] = []
        weights = {**_USUAL, **profile.events}
        # One plan uses some commands much, and others little: so each meets itself in some.
        self._events = [str(event) for event in weights]
        self._chances = [weight * random.choice((0.2, 1, 3)) for weight in weights.values()]

    def registration(self, retreat: int = 0) -> int:
        """Return the id of a registration; seldom one that is not in the retreat."""
        return retreat * self._people + self._random.randint(1, self._people + self._chance(0.1))

    def invoke(self, client: int) -> Invoke:
        """Return a step in which a client gives a command, or some command once more."""
        if self._given and self._chance(self._profile.again):
            again = self._random.choice(self._given)
            return again if self._chance(0.7) else replace(again, client=client)
        step = self._new(client)
        if step.command is not None:
            self._given.append(step)
        return step

    def _new(self, client: int) -> Invoke:
        random, profile = self._random, self._profile
        (event,) = random.choices(self._events, self._chances)
        retreat = random.randrange(self._retreats) if self._chance(profile.spread) else 0
        memo_of = undoes = undoes_command = None
        argument = _DRAW[event](self, retreat)
        if event in (CommandEvent.UPDATE_LINEUP_MEMO, CommandEvent.DELETE_LINEUP_MEMO):
            memo_of = self.registration(retreat)
        if event == CommandEvent.UNDO:
            if self._chance(0.4):
                undoes_command = random.randrange(IDS)
            else:
                undoes = random.choice((0, 0, 1, 1, 2, 3, 5, -1))
        return Invoke(
            client,
            event,
            argument,
            behind=random.choice((0, 0, 0, 1, 2, 5, -1)) if self._chance(profile.based) else None,
            command=random.randrange(IDS) if self._chance(profile.repeats) else None,
            memo_of=memo_of,
            undoes=undoes,
            undoes_command=undoes_command,
            named=random.randrange(self._retreats) if self._chance(0.1) else None,
            http=retreat if self._chance(profile.http) else None,
        )

    def foreign(self, retreat: int) -> tuple[str, Argument]:
        """Return a command that another server carries out, and its argument."""
        event = self._random.choice(
            (
                CommandEvent.UPDATE_GBS_NUMBER,
                CommandEvent.CREATE_LINEUP_MEMO,
                CommandEvent.BULK_ASSIGN_GBS,
                CommandEvent.DELETE_GBS,
                CommandEvent.UPDATE_LINEUP_GBS_MEMO,
            )
        )
        return str(event), _DRAW[event](self, retreat)

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _number(self) -> int | None:
        return None if self._chance(0.2) else self._group()

    def _group(self) -> int:
        return self._random.randint(1, _GROUPS)

    def _assign(self, retreat: int) -> Argument:
        return {"lineupId": self.registration(retreat), "gbsNumber": self._number()}

    def _memo(self, _retreat: int) -> Argument:
        memo: Argument = {"memo": self._random.choice(_TEXTS)}
        color = self._random.choice(_COLORS)
        return memo if color is None else {**memo, "color": color}

    def _create_memo(self, retreat: int) -> Argument:
        return {"lineupId": self.registration(retreat), **self._memo(retreat)}

    def _bulk(self, retreat: int) -> Argument:
        count = self._random.randint(1, self._people)
        ids = self._random.sample(range(1, self._people + 1), count)
        argument: Argument = {
            "assignments": [self._assignment(retreat * self._people + id_) for id_ in ids]
        }
        if self._chance(0.5):
            argument["onConflict"] = "skip"
        if self._chance(0.2):
            argument["applyLineupNumber"] = True
        return argument

    def _assignment(self, id_: int) -> Argument:
        item: Argument = {"lineupId": id_}
        if self._chance(0.8):
            item["gbsNumber"] = self._number()
        if self._chance(0.3):
            item["isLeader"] = self._chance(0.4)
        if self._chance(0.1):
            item["currentLeaderName"] = self._random.choice(("x", "y"))
        if self._chance(0.1):
            item["lineupNumber"] = self._random.choice((None, 1, 2))
        return item

    def _create_groups(self, _retreat: int) -> Argument:
        return {"gbsNumbers": self._random.choice(([3], [4, 6], [7], [1, 5, 6]))}

    def _delete_group(self, _retreat: int) -> Argument:
        number: Argument = {"gbsNumber": self._group()}
        return {**number, "ifEmpty": True} if self._chance(0.4) else number

    def _leaders(self, retreat: int) -> Argument:
        users = [self.registration(retreat) for _ in range(self._random.randint(1, 3))]
        return {"gbsNumber": self._group(), "leaderUserIds": users}

    def _no_leaders(self, _retreat: int) -> Argument:
        return {"gbsNumber": self._group()}

    def _group_memo(self, _retreat: int) -> Argument:
        return {"gbsNumber": self._group(), "memo": self._random.choice(_TEXTS)}

    def _undo(self, _retreat: int) -> Argument:
        return {"onConflict": "skip"} if self._chance(0.5) else {}


_DRAW: Final[Mapping[str, Callable[[Commands, int], Argument]]] = {
    CommandEvent.UPDATE_GBS_NUMBER: Commands._assign,
    CommandEvent.CREATE_LINEUP_MEMO: Commands._create_memo,
    CommandEvent.UPDATE_LINEUP_MEMO: Commands._memo,
    CommandEvent.DELETE_LINEUP_MEMO: lambda *_: {},
    CommandEvent.BULK_ASSIGN_GBS: Commands._bulk,
    CommandEvent.CREATE_GBS: Commands._create_groups,
    CommandEvent.DELETE_GBS: Commands._delete_group,
    CommandEvent.ASSIGN_GBS_LEADERS: Commands._leaders,
    CommandEvent.UNASSIGN_GBS_LEADERS: Commands._no_leaders,
    CommandEvent.UPDATE_LINEUP_GBS_MEMO: Commands._group_memo,
    CommandEvent.DELETE_LINEUP_GBS_MEMO: Commands._no_leaders,
    CommandEvent.UNDO: Commands._undo,
}
