from __future__ import annotations

import pytest

from tests.testing.simulation.slices import SLICES, check_slice


@pytest.mark.parametrize("number", range(SLICES))
def test_no_simulation_of_several_nodes_breaks_a_rule(number: int) -> None:
    check_slice("nodes", number)
