"""Logging: one handler for our code and for libraries, secrets masked; text for a terminal."""

from gbs_actor.observability.logs import configure_logging
from gbs_actor.observability.masking import mask, masked
from gbs_actor.observability.terminal import visible, visible_lines

__all__ = ["configure_logging", "mask", "masked", "visible", "visible_lines"]
