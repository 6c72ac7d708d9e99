"""The table of the commands, as a whole."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.contract.command_spec import CommandSpec
from gbs_actor.contract.commands import BY_ACTION, COMMANDS, LEGACY_CODES
from gbs_actor.contract.events import ClientEvent
from gbs_actor.lineup.commands import (
    Action,
    AssignNumber,
    CreateMemo,
    DeleteMemo,
    SingleAction,
    UpdateMemo,
)

_ids = st.integers(1, 2**63 - 1)
_texts = st.text(st.characters(exclude_categories=["Cs", "C"]), min_size=1, max_size=20).filter(
    lambda text: text.strip() == text
)
_colors = st.sampled_from(["", "#FECACA"])
_actions: st.SearchStrategy[Action] = st.one_of(
    st.builds(AssignNumber, _ids, st.none() | st.integers(1, 9_999)),
    st.builds(CreateMemo, _ids, _texts, _colors),
    st.builds(UpdateMemo, _ids, _texts, _colors),
    st.builds(DeleteMemo, _ids),
)


def test_every_action_of_the_domain_has_an_entry() -> None:
    assert set(BY_ACTION) == set(get_args(SingleAction))
    assert {spec.action for spec in COMMANDS} == set(get_args(Action))


def test_no_event_has_two_meanings() -> None:
    events = [*ClientEvent, *(spec.event for spec in COMMANDS)]
    assert len(set(events)) == len(events)


@given(_actions)
def test_what_a_client_encodes_is_what_the_server_decodes(action: Action) -> None:
    spec = BY_ACTION[type(action)]
    request = spec.decode(msgspec.json.encode(spec.argument(action)))
    assert request.action == action


def test_an_action_is_encoded_in_the_words_of_its_event() -> None:
    assert BY_ACTION[CreateMemo].argument(CreateMemo(7, "허리", "#FECACA")) == {
        "userRetreatRegistrationId": 7,
        "memo": "허리",
        "color": "#FECACA",
    }
    assert BY_ACTION[DeleteMemo].argument(DeleteMemo(9)) == {"userRetreatRegistrationMemoId": 9}


@pytest.mark.parametrize("spec", COMMANDS, ids=lambda spec: spec.event)
def test_every_command_has_a_code_for_older_clients(spec: CommandSpec[Any]) -> None:
    assert LEGACY_CODES[spec.event].endswith("_FAILED")


@pytest.mark.parametrize("spec", COMMANDS, ids=lambda spec: spec.event)
def test_a_path_names_the_target_exactly_where_it_is_a_described_parameter(
    spec: CommandSpec[Any],
) -> None:
    for route in spec.routes:
        assert ("{" in route.path) == (route.parameter is not None)
