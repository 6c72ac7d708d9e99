"""Whether a sequence can come out of an outbox, by trying all that one may do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

Part = tuple[str, int]
"""A row or a group: which of both, and its id or number."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Something that a client took off its connection."""

    durable: int
    """The revision that the store was at by then."""
    parts: tuple[tuple[Part, int], ...] = ()
    """What is in a message, each with its revision."""
    answer: int | None = None
    """The revision at which an answer was made that is no message."""
    is_list: bool = False
    """Whether the answer is a list: nothing is before it."""
    recent: frozenset[tuple[Part, int]] = frozenset()
    """What may follow the list at once although it is in that, ascending."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What waits of one revision, and then the answers that were made at it."""

    revision: int
    parts: frozenset[Part]
    is_begun: bool = False
    """Whether something of it was taken as a message of its own."""


@dataclass(frozen=True, slots=True)
class _State:
    """How far the room and the client have come."""

    position: int
    """Of what is to be taken next."""
    revision: int | None
    """Up to which everything has gone in; ``None``: the client is in no room."""
    waiting: tuple[_Step, ...] = ()
    recent: frozenset[tuple[Part, int]] = frozenset()
    """What may still follow the list at once."""


class Outbox:
    """One connection of a room.

    :param changed: what each revision has changed.
    :param taken: what the client took, in its order.
    """

    def __init__(self, changed: Mapping[int, frozenset[Part]], taken: Sequence[Taken]) -> None:
        self._changed = changed
        self._taken = taken

    def can_be(self) -> bool:
        """Whether there is a way to all that was taken."""
        states, seen = [_State(0, None)], set()
        while states:
            state = states.pop()
            if state.position == len(self._taken):
                return True
            if state not in seen:
                seen.add(state)
                states.extend(self._next(state))
        return False

    def _next(self, state: _State) -> Iterator[_State]:
        item = self._taken[state.position]
        if state.revision is not None and state.revision < item.durable:
            yield from self._goes_in(state, state.revision + 1)
        if item.is_list:
            yield from self._takes_list(state, item)
        elif item.answer is not None:
            yield from self._takes_answer(state, item.answer)
        elif len(item.parts) == 1 and item.parts[0] in state.recent:
            left = {each for each in state.recent if each[1] >= item.parts[0][1]}
            yield replace(
                state, position=state.position + 1, recent=frozenset(left - {item.parts[0]})
            )
        elif len(item.parts) == 1:
            yield from self._takes_part(state, *item.parts[0])
        else:
            yield from self._takes_whole(state, dict(item.parts))

    def _goes_in(self, state: _State, revision: int) -> Iterator[_State]:
        """A revision goes in; each part of it may replace the same one that waits, or not."""
        new = self._changed[revision]
        waiting = {part for step in state.waiting for part in step.parts & new}
        for count in range(len(waiting) + 1):
            for replaced in combinations(sorted(waiting), count):
                steps = tuple(
                    replace(step, parts=step.parts - set(replaced)) for step in state.waiting
                )
                steps = (*steps, _Step(revision, new))
                yield _State(state.position, revision, steps, state.recent)

    def _takes_list(self, state: _State, item: Taken) -> Iterator[_State]:
        waits = any(step.parts for step in state.waiting)
        if state.revision in (None, item.answer) and not waits:
            yield _State(state.position + 1, item.answer, recent=item.recent)

    def _takes_answer(self, state: _State, revision: int) -> Iterator[_State]:
        """An answer stands behind all that waits of its revision and of those before."""
        if state.revision is None:
            yield replace(state, position=state.position + 1)
        elif revision <= state.revision:
            before = [step for step in state.waiting if step.revision <= revision]
            if not any(step.parts for step in before) and self._is_in_place(state, revision):
                yield _State(state.position + 1, state.revision, state.waiting[len(before) :])

    def _is_in_place(self, state: _State, revision: int) -> bool:
        """Whether nothing newer was taken before."""
        taken = self._taken[: state.position]
        newer = [item for item in taken if max((r for _, r in item.parts), default=0) > revision]
        later = [item for item in taken if item.answer is not None and item.answer > revision]
        return not newer and not later

    def _takes_part(self, state: _State, part: Part, revision: int) -> Iterator[_State]:
        steps = self._first_waiting(state)
        if steps and steps[0].revision == revision and part in steps[0].parts:
            left = replace(steps[0], parts=steps[0].parts - {part}, is_begun=True)
            yield _State(state.position + 1, state.revision, (left, *steps[1:]))

    def _takes_whole(self, state: _State, parts: dict[Part, int]) -> Iterator[_State]:
        """All that waits of some revisions goes out together."""
        steps = self._first_waiting(state)
        last = max(parts.values())
        whole = [step for step in steps if step.revision <= last]
        if not whole or whole[0].is_begun or whole[-1].revision != last:
            return
        found = sorted((part, step.revision) for step in whole for part in step.parts)
        if whole[-1].parts == self._changed[last] and found == sorted(parts.items()):
            yield _State(state.position + 1, state.revision, steps[len(whole) :])

    def _first_waiting(self, state: _State) -> tuple[_Step, ...]:
        """Return what waits, without what is empty at its front."""
        steps = state.waiting
        while steps and not steps[0].parts:
            steps = steps[1:]
        return steps
