"""``/api/v1/retreats``, ``/api/v1/retreat/{slug}``: what a page shows around the list itself."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final

import msgspec
from quart import Blueprint, Response, request

from gbs_actor.auth import Policy, User, forbidden
from gbs_actor.gateway.http.admin.responses import fresh_response
from gbs_actor.gateway.http.identity import Identity
from gbs_actor.gateway.http.responses import failure_response
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.names import shown_name
from gbs_actor.lineup.schedules import ScheduleKind
from gbs_actor.rooms.delivery import NO_SUCH_RETREAT
from gbs_actor.sheets.schedule import labelled
from gbs_actor.store.protocol import Store

RETREATS_PATH: Final = "/api/v1/retreats"
RETREAT_PATH: Final = "/api/v1/retreat/{slug}"


class SignedInUser(msgspec.Struct, frozen=True, rename="camel"):
    """Whose token was sent."""

    user_id: int
    name: str
    """As others see it."""
    role: str
    """The token's; a retreat may give another one."""
    expires_at: datetime | None
    """When the token ends; null: never."""


class RetreatEntry(msgspec.Struct, frozen=True, rename="camel"):
    """A retreat whose line-up the user may read."""

    slug: str
    title: str
    can_edit: bool


class RetreatList(msgspec.Struct, frozen=True, rename="camel"):
    """The retreats that a user may enter."""

    retreats: tuple[RetreatEntry, ...]
    """The newest first."""
    user: SignedInUser


class ScheduleColumn(msgspec.Struct, frozen=True, rename="camel"):
    """What people register for, as a column of the line-up."""

    id: int
    name: str
    kind: ScheduleKind
    starts_at: datetime
    day: date
    """The day in Korea on which it starts."""
    label: str
    """Weekday and kind, as the sheets have it: 수점; a second one is 수점2."""


class RetreatDetails(msgspec.Struct, frozen=True, rename="camel"):
    """A retreat, and what the user may do in it."""

    slug: str
    title: str
    can_edit: bool
    is_operator: bool
    user: SignedInUser
    schedules: tuple[ScheduleColumn, ...]
    """In time order."""
    largest_group: int
    """People of a group; the figures of a larger one are to be shown in red."""


def retreats(store: Store, identity: Identity, *, largest_group: int) -> Blueprint:
    """Return the two routes.

    :param largest_group: see :attr:`~gbs_actor.settings.PageSettings.largest_group`.
    """
    blueprint = Blueprint("retreats", __name__)
    policy = identity.policy

    @blueprint.get(RETREATS_PATH)
    async def list_retreats() -> Response:
        user = identity.authenticate(request)
        titles = await store.titles()
        roles = await identity.roles_in(user, titles)
        return fresh_response(RetreatList(_entered(titles, roles, policy), _signed_in(user)))

    @blueprint.get(RETREAT_PATH.replace("{slug}", "<slug>"))
    async def show_retreat(slug: str) -> Response:
        user = identity.authenticate(request)
        role = await identity.role_in(user, slug)
        if not policy.may_read(role):
            raise forbidden()
        title = (await store.titles(slug)).get(slug)
        if title is None:
            return failure_response(Failure.of(NO_SUCH_RETREAT))
        details = RetreatDetails(
            slug=slug,
            title=title,
            can_edit=policy.may_edit(role),
            is_operator=policy.is_operator(role),
            user=_signed_in(user),
            schedules=tuple(
                ScheduleColumn(
                    id=schedule.id,
                    name=schedule.name,
                    kind=schedule.kind,
                    starts_at=schedule.starts_at.astimezone(UTC),
                    day=schedule.day,
                    label=label,
                )
                for label, schedule in labelled(await store.schedules(slug)).items()
            ),
            largest_group=largest_group,
        )
        return fresh_response(details)

    return blueprint


def _entered(
    titles: dict[str, str], roles: dict[str, str], policy: Policy
) -> tuple[RetreatEntry, ...]:
    return tuple(
        RetreatEntry(slug, title, policy.may_edit(roles[slug]))
        for slug, title in titles.items()
        if policy.may_read(roles[slug])
    )


def _signed_in(user: User) -> SignedInUser:
    expires_at = user.expires_at
    return SignedInUser(
        user_id=user.user_id,
        name=shown_name(user.name, user.user_id, user.email),
        role=user.role,
        expires_at=None if expires_at is None else datetime.fromtimestamp(expires_at, UTC),
    )
