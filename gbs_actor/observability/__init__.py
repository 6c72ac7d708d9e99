"""Logging: one handler for our code and for libraries, secrets masked."""

from gbs_actor.observability.logs import configure_logging
from gbs_actor.observability.masking import mask, masked

__all__ = ["configure_logging", "mask", "masked"]
