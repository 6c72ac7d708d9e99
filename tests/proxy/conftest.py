from __future__ import annotations

from pathlib import Path

import pytest

from tests.certificates import Authority, IssuedCertificate
from tests.e2e.conftest import (
    any_driver,
    chromium,
    chromium_drivers,
    driver,
    drivers,
    drivers_folder,
    foreign_drivers,
    foreign_page,
    node,
    node_drivers,
    page,
    python_drivers,
)
from tests.proxy.nginx import NGINX

__all__ = [
    "any_driver",
    "chromium",
    "chromium_drivers",
    "driver",
    "drivers",
    "drivers_folder",
    "foreign_drivers",
    "foreign_page",
    "node",
    "node_drivers",
    "page",
    "python_drivers",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of this folder where there is no nginx."""
    if NGINX is None:
        skip = pytest.mark.skip(reason="nginx is not installed (Debian: nginx-light)")
        here = Path(__file__).parent
        for item in items:
            if here in item.path.parents:
                item.add_marker(skip)


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Who has signed nginx's certificate."""
    return Authority()


@pytest.fixture(scope="session")
def certificate(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> IssuedCertificate:
    """nginx's certificate; its master reads it, so only that has to reach it."""
    return authority.issue(tmp_path_factory.mktemp("nginx"))
