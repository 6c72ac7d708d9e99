"""The README's table of events says what the contract says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gbs_actor.client import ChangeResult
from gbs_actor.contract.command_spec import CommandSpec
from gbs_actor.contract.commands import COMMANDS
from gbs_actor.contract.events import ClientEvent, CommandEvent, ServerEvent
from gbs_actor.contract.payloads import GuardBody
from gbs_actor.contract.planned_payloads import AssignmentBody, BulkBody, UndoBody
from gbs_actor.gateway import replies
from gbs_actor.lineup.commands import PLANNED

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def _rows() -> dict[str, tuple[str, str]]:
    """Return the argument and the ack's data of each event, as the table has them."""
    table = README.partition("| event | argument |")[2].partition("\n\n")[0]
    rows: dict[str, tuple[str, str]] = {}
    for line in table.splitlines()[2:]:
        events, argument, data = (cell.strip() for cell in line.strip("|").split(" | "))
        names = re.findall(r"`([a-z-]+)`", events)
        arguments = argument.split("; ") if len(names) > 1 else [argument]
        rows |= {name: (each, data) for name, each in zip(names, arguments, strict=True)}
    return rows


ROWS = _rows()


def _fields(body: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(body)}


def _arguments(spec: CommandSpec[Any]) -> set[str]:
    """Return what an event takes in addition to what every command does."""
    names = _fields(spec.body)
    if spec.body is not UndoBody:
        names -= _fields(GuardBody)
    if spec.body is BulkBody:
        names |= _fields(AssignmentBody) - {"userRetreatRegistrationId"}
    if spec.target is not None:
        names.add(spec.target.spellings[0])
    return names - ({"baseRevision"} if spec.body is UndoBody else set())


def test_the_table_has_every_event_of_clients() -> None:
    assert set(ROWS) == {*ClientEvent, *CommandEvent}


def test_every_event_of_a_command_is_one_of_the_table_of_commands() -> None:
    assert {spec.event for spec in COMMANDS} == set(CommandEvent)


@pytest.mark.parametrize("spec", COMMANDS, ids=lambda spec: spec.event)
def test_a_commands_argument_and_data_are_those_of_the_table(spec: CommandSpec[Any]) -> None:
    argument, data = ROWS[spec.event]
    code = " ".join(re.findall(r"`([^`]+)`", argument))
    assert set(re.findall(r"[A-Za-z]+", code)) == _arguments(spec)
    assert data == ("result" if spec.action in PLANNED else "row")


def test_a_result_has_the_members_that_the_readme_lists() -> None:
    listed = re.search(r"A result is `\{([^}]+)\}`", README)
    assert listed
    names = set(listed[1].split(", "))
    assert names == _fields(replies.ChangeResult) == _fields(ChangeResult)


@pytest.mark.parametrize("event", ServerEvent)
def test_every_event_of_the_server_is_named(event: ServerEvent) -> None:
    assert f"`{event}`" in README or f'"{event}"' in README
