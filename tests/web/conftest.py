from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.workshop import workshop


@pytest.fixture(scope="module")
def client_copy(pytestconfig: pytest.Config) -> Iterator[Path]:
    """A copy of the browser's client, with what its types are checked with."""
    with workshop(pytestconfig) as folder:
        yield folder / "client"
