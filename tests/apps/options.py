"""Settings of the servers in this folder that have no place on their command line."""

from __future__ import annotations

import json
import os
from typing import Any, Final

VARIABLE: Final = "ECHO_OPTIONS"
"""Environment variable: fields of :class:`ServerOptions`, as a JSON object."""


def from_environment() -> dict[str, Any]:
    """Return the settings that the environment holds."""
    options: dict[str, Any] = json.loads(os.environ.get(VARIABLE, "{}"))
    return options
