"""What one command of the API is: its event, its argument, its HTTP routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar, cast
from uuid import UUID

import msgspec
from msgspec.structs import replace

from gbs_actor.contract.decoding import (
    Id,
    check_optional_text,
    check_revision,
    check_slug,
    decode,
    one_id,
)
from gbs_actor.contract.payloads import Epoch, GuardBody
from gbs_actor.lineup.commands import Action, Author, BulkAssign, Command, Undo

BodyT = TypeVar("BodyT", bound=GuardBody)

LINE_UP_PATH: Final = "/api/v1/retreat/{slug}/line-up"
"""The prefix of the HTTP paths of all commands."""
BULK_BODY: Final = 1_000_000
"""Bytes of the body of a bulk edit, at most."""
_ITEMS_PER_EVENT: Final = 100


class CommandRequest(msgspec.Struct, frozen=True):
    """An action, with the client's command id and base revision."""

    action: Action
    command_id: UUID | None
    base_revision: int | None
    epoch: str | None = None
    retreat_slug: str | None = None
    """The retreat it belongs to; ``None``: that of the room, else of the target."""

    @property
    def extra_events(self) -> int:
        """How many events it counts as against the rates, in addition to itself."""
        action = self.action
        return len(action.assignments) // _ITEMS_PER_EVENT if type(action) is BulkAssign else 0

    def command(
        self,
        author: Author,
        new_id: Callable[[], UUID],
        *,
        outside_room: bool = False,
        by_operator: bool = False,
    ) -> Command:
        """Return the command of this author.

        :param new_id: returns a random id; called if the client has made none.
        :param by_operator: whether the author may undo what others did in this retreat.
        """
        action = self.action
        if by_operator and type(action) is Undo:
            action = replace(action, by_operator=True)
        return Command(
            action=action,
            author=author,
            id=new_id() if self.command_id is None else self.command_id,
            client_made_id=self.command_id is not None,
            base_revision=self.base_revision,
            epoch=self.epoch,
            outside_room=outside_room,
        )


@dataclass(frozen=True, slots=True)
class Target:
    """What a command addresses, by its id."""

    name: str
    """The id's name in paths, and in the stored form of actions."""
    spellings: tuple[str, ...]
    """Its names in arguments of events; the last one is what our own clients send."""


@dataclass(frozen=True, slots=True)
class Route:
    """One HTTP route of a command, and its description."""

    method: Literal["POST", "PUT", "DELETE"]
    path: str
    """Below :data:`LINE_UP_PATH`. The target's id is its one ``{parameter}``, or in the body."""
    operation: str
    """The ``operationId``."""
    summary: str
    description: str = ""
    parameter: str | None = None
    """The described path parameter, if there is one."""
    body: type[GuardBody] | None = None
    """The body as described; ``None``: it holds the command's own fields."""
    example: Mapping[str, Any] | None = None
    """An example of the body; without one the body may be left out."""
    max_body: int | None = None
    """Bytes of the body, at most; ``None``: as the settings have it."""


class CommandSpec(Generic[BodyT]):
    """One command of the API.

    :param action: what it becomes in the domain.
    :param event: the name of its event.
    :param legacy_code: its error's code in clients older than
        :class:`~gbs_actor.lineup.codes.Code`.
    :param target: what it addresses, if its id is no field of the body.
    :param body: its fields beside the target.
    :param make: returns the action for a target's id, or ``None``, and a decoded body; raises
        :exc:`~gbs_actor.contract.decoding.InvalidPayload` if a rule is broken.
    :param routes: its HTTP routes.
    """

    def __init__(
        self,
        action: type[Action],
        *,
        event: str,
        legacy_code: str,
        target: Target | None = None,
        body: type[BodyT],
        make: Callable[[Any, BodyT], Action],
        routes: tuple[Route, ...],
    ) -> None:
        self.action = action
        self.event = event
        self.legacy_code = legacy_code
        self.target = target
        self.body = body
        self.routes = routes
        self._make = make
        self._spellings = () if target is None else target.spellings
        self._body_decoder = msgspec.json.Decoder(body)
        # The event's argument is the body and, under any of its names, the target's id; and
        # what HTTP has in the path or does not need.
        ids = [(name, Id, None) for name in self._spellings]
        more = [("retreatSlug", str | None, None), ("epoch", Epoch | None, None)]
        argument = msgspec.defstruct(action.__name__, [*ids, *more], bases=(body,))
        self._argument_decoder = msgspec.json.Decoder(cast("type[BodyT]", argument))

    def decode(self, raw: bytes) -> CommandRequest:
        """Decode the argument of the event, or an HTTP body that names the target.

        :raises InvalidPayload: see :func:`~gbs_actor.contract.decoding.decode`; or a rule
            is broken.
        """
        argument: Any = decode(raw, self._argument_decoder)
        ids = [(name, getattr(argument, name)) for name in self._spellings]
        slug = argument.retreatSlug
        return self._request(
            one_id(*ids) if ids else None,
            argument,
            epoch=check_optional_text("epoch", argument.epoch),
            retreat_slug=None if slug is None else check_slug(slug),
        )

    def decode_body(self, target: str, raw: bytes) -> CommandRequest:
        """Decode an HTTP body whose target is in the path.

        :param target: the id, as in the path.
        :raises InvalidPayload: as :meth:`decode` does.
        """
        assert self.target is not None
        number = one_id((self.target.name, target))
        return self._request(number, decode(raw, self._body_decoder))

    def argument(self, action: Action) -> dict[str, object]:
        """Return the event's argument for an action on one field, without id and revision."""
        assert self.target is not None
        members: dict[str, object] = msgspec.to_builtins(action)
        del members["action"]
        return {self.target.spellings[-1]: members.pop(self.target.name), **members}

    def _request(
        self,
        target: int | None,
        body: BodyT,
        *,
        epoch: str | None = None,
        retreat_slug: str | None = None,
    ) -> CommandRequest:
        action = self._make(target, body)
        base_revision = check_revision("baseRevision", body.base_revision)
        return CommandRequest(action, body.own_id, base_revision, epoch, retreat_slug)
