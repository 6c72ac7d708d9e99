from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import drivers_folder, node, node_drivers

__all__ = ["drivers_folder", "node", "node_drivers"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here kills processes and takes its time."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.faults)
