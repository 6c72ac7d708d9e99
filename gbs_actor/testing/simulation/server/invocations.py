"""What a simulated client has asked for, as the history of its run gets it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gbs_actor.contract.events import ClientEvent
from gbs_actor.testing.simulation.arguments import command_id
from gbs_actor.testing.simulation.history import Abandoned, Answered, Invoked, Json
from gbs_actor.testing.simulation.plan import Participant
from gbs_actor.testing.simulation.server.membership import Membership
from gbs_actor.testing.simulation.server.run import Run


@dataclass(slots=True)
class _Asked:
    """Something that was not answered yet."""

    index: int
    """Where it is in the history."""
    taken: Callable[[Json], None] | None
    moves: int | None = None
    """How many moves were sent before it; ``None``: over HTTP, where that does not matter."""


class Invocations:
    """All that one participant has asked for, over any connection."""

    def __init__(self, participant: Participant, run: Run) -> None:
        self._participant = participant
        self._run = run
        self._asked: dict[int, _Asked] = {}
        self.again: list[tuple[str, Json]] = []
        """Commands that are given again over the next connection."""
        self.closed = False
        """Whether nothing more is recorded as abandoned."""

    def place(
        self, event: str, argument: Json, room: str | None, code: str | None = None
    ) -> tuple[str | None, bool]:
        """Return the retreat that an event belongs to, and whether its client is outside of it.

        :param room: that its client is in, as far as it knows.
        :param code: of its answer, if it is an error.
        """
        if event == ClientEvent.USER_EDITING:
            return room, room is None
        named = argument.get("retreatSlug")
        if named is not None:
            return named, named != room
        home = self._run.home_of(event, argument)
        if room is None:
            return home, True
        # In a room, only a repeat is looked for in another retreat.
        if command_id(event, argument) is None or home in (None, room) or code == "NOT_FOUND":
            return room, False
        return home, True

    def invoked(
        self,
        event: str,
        argument: Json,
        slug: str | None,
        taken: Callable[[Json], None] | None,
        connection: int | None,
        *,
        outside: bool,
        moves: int | None = None,
    ) -> int:
        """Record that it asks for something.

        :param taken: called with the reply; ``None``: nothing is.
        :param connection: ``None``: over HTTP.
        :param moves: how many were sent before it; ``None``: over HTTP.
        :returns: its number in the run.
        """
        run, who = self._run, self._participant
        number = run.next_number()
        self._asked[number] = _Asked(len(run.history.moments), taken, moves)
        run.history.record(
            Invoked(
                invocation=number,
                client=who.number,
                user_id=who.user,
                connection=connection,
                event=event,
                argument=argument,
                slug=slug,
                command_id=command_id(event, argument),
                outside=outside,
                operator=who.operator,
            )
        )
        return number

    def correct(self, number: int, membership: Membership, reply: Json) -> None:
        """Correct a recorded invocation by what its client knows now of the room it was in."""
        asked = self._asked.get(number)
        if asked is None or asked.moves is None:
            return
        moments = self._run.history.moments
        event = moments[asked.index].event
        assert isinstance(event, Invoked)
        if event.event in (ClientEvent.JOIN_RETREAT, ClientEvent.LEAVE_RETREAT):
            return
        room = membership.room_after(asked.moves, hoping=True)
        slug, outside = self.place(event.event, event.argument, room, reply.get("code"))
        if (slug, outside) != (event.slug, event.outside):
            changed = replace(event, slug=slug, outside=outside)
            moments[asked.index] = replace(moments[asked.index], event=changed)

    def answered(self, number: int, reply: Json) -> None:
        """Record the answer, and hand it out.

        :raises AssertionError: there was one already.
        """
        asked = self._asked.pop(number, None)
        if asked is None:
            raise AssertionError(f"{number} is answered again: {reply}")
        self._run.history.record(Answered(number, reply))
        if asked.taken is not None:
            asked.taken(reply)

    def abandon(self, number: int, event: str, argument: Json) -> None:
        """Record that there will be no answer; a command may be given again."""
        if self._asked.pop(number, None) is None or self.closed:
            return
        self._run.history.record(Abandoned(number))
        if self._participant.retries and command_id(event, argument) is not None:
            self.again.append((event, argument))
