"""What the HTTP side is given to work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gbs_actor.auth import Authorizer, Verifier
from gbs_actor.gateway.user_rates import UserRates
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.settings import Settings
from gbs_actor.store.protocol import Store


@dataclass(frozen=True, slots=True)
class Services:
    """The parts below the gateway, as one server has composed them."""

    rooms: RoomSupervisor
    store: Store
    verifier: Verifier
    authorizer: Authorizer
    settings: Settings
    rates: UserRates
    """How often users may ask, shared with their other ways in."""
    draining: Callable[[], bool]
    """Whether the server is about to stop, so that nobody should send it new clients."""
