"""Bugs that servers of this kind have, to be planted: the simulator has to find each of them."""

from __future__ import annotations

from typing import Final

from tests.testing.simulation.planted.bug import Bug
from tests.testing.simulation.planted.committing import COMMITTING
from tests.testing.simulation.planted.connecting import CONNECTING
from tests.testing.simulation.planted.deciding import DECIDING
from tests.testing.simulation.planted.sending import SENDING
from tests.testing.simulation.planted.serving import SERVING
from tests.testing.simulation.planted.sharing import SHARING

BUGS: Final[tuple[Bug, ...]] = (
    *DECIDING,
    *COMMITTING,
    *SENDING,
    *SERVING,
    *CONNECTING,
    *SHARING,
)

__all__ = ["BUGS", "Bug"]
