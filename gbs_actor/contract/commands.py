"""The table of the commands: one entry each, for all transports.

Socket.IO, plain WebSocket, HTTP, its OpenAPI description and the Python client read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Generic, Literal, TypeVar, cast
from uuid import UUID, uuid4

import msgspec

from gbs_actor.contract.decoding import (
    Id,
    check_optional_text,
    check_revision,
    check_slug,
    decode,
    one_id,
)
from gbs_actor.contract.events import ClientEvent
from gbs_actor.contract.payloads import AssignBody, Epoch, GuardBody, MemoBody, NumberBody
from gbs_actor.lineup.commands import (
    Action,
    AssignNumber,
    Author,
    Command,
    CreateMemo,
    DeleteMemo,
    UpdateMemo,
)

BodyT = TypeVar("BodyT", bound=GuardBody)

LINE_UP_PATH: Final = "/api/v1/retreat/{slug}/line-up"
"""The prefix of the HTTP paths of all commands."""


class CommandRequest(msgspec.Struct, frozen=True):
    """An action, with the client's command id and base revision."""

    action: Action
    command_id: UUID | None
    base_revision: int | None
    epoch: str | None = None
    retreat_slug: str | None = None
    """The retreat it belongs to; ``None``: that of the room, else of the target."""

    def command(self, author: Author, *, outside_room: bool = False) -> Command:
        """Return the command of this author; without a client's id it gets a new one."""
        return Command(
            action=self.action,
            author=author,
            id=uuid4() if self.command_id is None else self.command_id,
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


class CommandSpec(Generic[BodyT]):
    """One command of the API.

    :param action: what it becomes in the domain.
    :param event: the name of its event.
    :param legacy_code: its error's code in clients older than
        :class:`~gbs_actor.lineup.codes.Code`.
    :param target: what it addresses.
    :param body: its fields beside the target.
    :param make: returns the action for a target's id and a decoded body; raises
        :exc:`~gbs_actor.contract.decoding.InvalidPayload` if a rule is broken.
    :param routes: its HTTP routes.
    """

    def __init__(
        self,
        action: type[Action],
        *,
        event: str,
        legacy_code: str,
        target: Target,
        body: type[BodyT],
        make: Callable[[int, BodyT], Action],
        routes: tuple[Route, ...],
    ) -> None:
        self.action = action
        self.event = event
        self.legacy_code = legacy_code
        self.target = target
        self.body = body
        self.routes = routes
        self._make = make
        self._body_decoder = msgspec.json.Decoder(body)
        # The event's argument is the body and, under any of its names, the target's id; and
        # what HTTP has in the path or does not need.
        ids = [(name, Id, None) for name in target.spellings]
        more = [("retreatSlug", str | None, None), ("epoch", Epoch | None, None)]
        argument = msgspec.defstruct(action.__name__, [*ids, *more], bases=(body,))
        self._argument_decoder = msgspec.json.Decoder(cast("type[BodyT]", argument))

    def decode(self, raw: bytes) -> CommandRequest:
        """Decode the argument of the event, or an HTTP body that names the target.

        :raises InvalidPayload: see :func:`~gbs_actor.contract.decoding.decode`; or a rule
            is broken.
        """
        argument: Any = decode(raw, self._argument_decoder)
        target = one_id(*((name, getattr(argument, name)) for name in self.target.spellings))
        slug = argument.retreatSlug
        return self._request(
            target,
            argument,
            epoch=check_optional_text("epoch", argument.epoch),
            retreat_slug=None if slug is None else check_slug(slug),
        )

    def decode_body(self, target: str, raw: bytes) -> CommandRequest:
        """Decode an HTTP body whose target is in the path.

        :param target: the id, as in the path.
        :raises InvalidPayload: as :meth:`decode` does.
        """
        number = one_id((self.target.name, target))
        return self._request(number, decode(raw, self._body_decoder))

    def argument(self, action: Action) -> dict[str, object]:
        """Return the event's argument for an action, without id and revision."""
        members: dict[str, object] = msgspec.to_builtins(action)
        del members["action"]
        return {self.target.spellings[-1]: members.pop(self.target.name), **members}

    def _request(
        self,
        target: int,
        body: BodyT,
        *,
        epoch: str | None = None,
        retreat_slug: str | None = None,
    ) -> CommandRequest:
        action = self._make(target, body)
        base_revision = check_revision("baseRevision", body.base_revision)
        return CommandRequest(action, body.command_id, base_revision, epoch, retreat_slug)


_REGISTRATION: Final = Target("registrationId", ("lineupId", "userRetreatRegistrationId"))
_MEMO: Final = Target("memoId", ("memoId", "userRetreatRegistrationMemoId"))
_MEMO_EXAMPLE: Final = {"memo": "같은 조 희망", "color": "#FFCC00"}

COMMANDS: Final[tuple[CommandSpec[Any], ...]] = (
    CommandSpec(
        AssignNumber,
        event="update-gbs-number",
        legacy_code="UPDATE_FAILED",
        target=_REGISTRATION,
        body=NumberBody,
        make=lambda registration, body: AssignNumber(registration, body.number()),
        routes=(
            Route(
                "PUT",
                "/user-lineups/{registrationId}",
                "assignNumber",
                "Put a person into a group, or into none.",
                "A group that does not exist yet is created. A leader's group is not changed "
                "this way (LEADER_LOCKED).",
                parameter="registrationId",
                example={"gbsNumber": 7},
            ),
            Route(
                "POST",
                "/assign-gbs",
                "assignGbs",
                "The same, with the person in the body.",
                body=AssignBody,
                example={"userRetreatRegistrationId": 1, "gbsNumber": 7},
            ),
        ),
    ),
    CommandSpec(
        CreateMemo,
        event="create-lineup-memo",
        legacy_code="CREATE_MEMO_FAILED",
        target=_REGISTRATION,
        body=MemoBody,
        make=lambda registration, body: CreateMemo(registration, *body.cleaned()),
        routes=(
            Route(
                "POST",
                "/{id}/lineup-memo",
                "createMemo",
                "Write the line-up memo that a person does not have yet.",
                "There is one per person: a second one is a CONFLICT, unless it is the same.",
                parameter="memoOwner",
                example=_MEMO_EXAMPLE,
            ),
        ),
    ),
    CommandSpec(
        UpdateMemo,
        event="update-lineup-memo",
        legacy_code="UPDATE_MEMO_FAILED",
        target=_MEMO,
        body=MemoBody,
        make=lambda memo, body: UpdateMemo(memo, *body.cleaned()),
        routes=(
            Route(
                "PUT",
                "/{id}/lineup-memo",
                "updateMemo",
                "Replace a memo's text and colour.",
                "An absent colour clears it.",
                parameter="memo",
                example=_MEMO_EXAMPLE,
            ),
        ),
    ),
    CommandSpec(
        DeleteMemo,
        event="delete-lineup-memo",
        legacy_code="DELETE_MEMO_FAILED",
        target=_MEMO,
        body=GuardBody,
        make=lambda memo, _body: DeleteMemo(memo),
        routes=(
            Route("DELETE", "/{id}/lineup-memo", "deleteMemo", "Delete a memo.", parameter="memo"),
        ),
    ),
)

BY_EVENT: Final[Mapping[str, CommandSpec[Any]]] = MappingProxyType(
    {spec.event: spec for spec in COMMANDS}
)
"""The commands by the names of their events."""
BY_ACTION: Final[Mapping[type[Action], CommandSpec[Any]]] = MappingProxyType(
    {spec.action: spec for spec in COMMANDS}
)
"""The commands by their actions."""

LEGACY_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        ClientEvent.JOIN_RETREAT: "JOIN_FAILED",
        **{spec.event: spec.legacy_code for spec in COMMANDS},
    }
)
"""By event, the error code for clients older than :class:`~gbs_actor.lineup.codes.Code`."""
