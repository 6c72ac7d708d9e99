from __future__ import annotations

from tests.e2e.conftest import drivers_folder, node

__all__ = ["drivers_folder", "node"]
