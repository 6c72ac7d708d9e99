from __future__ import annotations

from tests.e2e.conftest import (
    any_driver,
    chromium,
    chromium_drivers,
    drivers,
    drivers_folder,
    foreign_drivers,
    foreign_page,
    node,
    node_drivers,
    page,
)

__all__ = [
    "any_driver",
    "chromium",
    "chromium_drivers",
    "drivers",
    "drivers_folder",
    "foreign_drivers",
    "foreign_page",
    "node",
    "node_drivers",
    "page",
]
