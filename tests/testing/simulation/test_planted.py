"""The simulator finds bugs that servers of this kind have: each with the profile meant for it."""

from __future__ import annotations

import pytest

from gbs_actor.testing.simulation.checker import RULES
from gbs_actor.testing.simulation.plan.profiles import PROFILES
from tests.testing.simulation.planted import BUGS, Bug
from tests.testing.simulation.planted.known import KNOWN
from tests.testing.simulation.planted.search import search

SEEDS = 300


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found_by_the_profile_meant_for_it(bug: Bug) -> None:
    found = search(bug, bug.profile, [KNOWN.get(bug.name, 0), *range(SEEDS)])
    assert found is not None
    assert found.rules <= {*RULES}


def test_seeds_are_known_of_bugs_that_there_are() -> None:
    assert KNOWN.keys() <= {bug.name for bug in BUGS}


def test_each_profile_is_meant_for_some_bug() -> None:
    # "large" is for steps that are too long.
    assert {bug.profile for bug in BUGS} == PROFILES.keys() - {"general", "large"}


def test_a_bug_is_gone_where_it_is_no_longer_planted() -> None:
    for bug in BUGS:
        (edit, *_) = bug.edits
        before = edit.function.__code__
        with bug.planted():
            assert edit.function.__code__ is not before
        assert edit.function.__code__ is before
