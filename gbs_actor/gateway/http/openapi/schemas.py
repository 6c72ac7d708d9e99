"""JSON Schemas of everything that crosses the HTTP API, from the types themselves.

This module adds what a type cannot express: required fields, and rules over two fields.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec
from msgspec import UNSET

from gbs_actor.contract.client_metrics import ClientMetrics
from gbs_actor.contract.commands import COMMANDS
from gbs_actor.gateway.http.admin.acting import (
    ActionBody,
    ActionResult,
    KickResult,
    RoomActionResult,
)
from gbs_actor.gateway.http.admin.audit import AuditPage
from gbs_actor.gateway.http.admin.diagnostics import (
    LogLevelBody,
    LogLevelResult,
    ProfileBody,
    ProfileResult,
)
from gbs_actor.gateway.http.admin.overview import Overview
from gbs_actor.gateway.http.admin.session import EndedSession, OperatorSession
from gbs_actor.gateway.http.admin.sessions import ClosedPage
from gbs_actor.gateway.http.admin.system import SystemStatistics
from gbs_actor.gateway.http.admin.task_tree import TaskTree
from gbs_actor.gateway.http.admin.traces import (
    StopTraceBody,
    TraceBody,
    TraceList,
    TracesChanged,
)
from gbs_actor.gateway.http.history import LineupHistory
from gbs_actor.gateway.http.responses import Alive, Edited, Ready, UserLineups
from gbs_actor.gateway.http.retreats import RetreatDetails, RetreatList
from gbs_actor.gateway.http.sheets import ApplyBody, ImportPreview
from gbs_actor.gateway.nodes import NodeList
from gbs_actor.gateway.replies import ChangeResult, HttpErrorBody
from gbs_actor.gateway.sessions import SessionDetails, SessionPage
from gbs_actor.lineup.fields import Field
from gbs_actor.lineup.records import Row
from gbs_actor.lineup.text import INVISIBLE, WHITE_SPACE
from gbs_actor.observability import EventPage, LogLevelStatistics
from gbs_actor.observability.history import HistoryStatistics
from gbs_actor.rooms import GroupList, RoomPage, RoomStatistics
from gbs_actor.sheets import Field as SheetField

Schema = dict[str, Any]

SCHEMAS: Final = "#/components/schemas/"

_BODIES: Final = tuple(
    dict.fromkeys(route.body or spec.body for spec in COMMANDS for route in spec.routes)
)
"""The bodies of the operations that write."""

_TYPES: Final[dict[str, Any]] = {
    "UserLineups": UserLineups[tuple[Row, ...]],
    "Edited": Edited[Row],
    "Row": Row,
    "ChangeResult": ChangeResult[Row],
    "GroupList": GroupList,
    "LineupHistory": LineupHistory,
    "ImportPreview": ImportPreview,
    "ApplyBody": ApplyBody,
    **{each.__name__: each for each in (RetreatList, RetreatDetails, ClientMetrics)},
    "Field": Field,
    "SheetField": SheetField,
    **{body.__name__: body for body in _BODIES},
    "Error": HttpErrorBody,
    "Alive": Alive,
    "Ready": Ready,
    "Events": EventPage,
    "Nodes": NodeList,
    "Rooms": RoomPage,
    "Room": RoomStatistics,
    "System": SystemStatistics,
    "Overview": Overview,
    "History": HistoryStatistics,
    "TaskTree": TaskTree,
    "Sessions": SessionPage,
    "Session": SessionDetails,
    "ClosedSessions": ClosedPage,
    "Traces": TraceList,
    "TracesChanged": TracesChanged,
    "TraceBody": TraceBody,
    "StopTraceBody": StopTraceBody,
    "OperatorSession": OperatorSession,
    "EndedSession": EndedSession,
    "Audit": AuditPage,
    "LogLevels": LogLevelStatistics,
    **{each.__name__: each for each in (ActionBody, LogLevelBody, ProfileBody)},
    **{
        each.__name__: each
        for each in (ActionResult, RoomActionResult, KickResult, LogLevelResult, ProfileResult)
    },
}
"""The types that operations refer to, by the names of their components."""

SHOWS_NOTHING: Final = "".join(
    char if char == "-" else f"\\u{ord(char):04X}" for char in INVISIBLE + WHITE_SPACE
)
"""What makes no memo, as a character class of a regular expression (code points below U+10000)."""

_ROW: Final = {
    "id": "The registration's id; clients merge rows by it.",
    "gbsNumber": "The group; null: in none.",
    "totalCount": "Of the row's group, as the other counts; 0 without one.",
    "isFullAttendance": "Registered for every schedule of the retreat.",
    "gbsMemo": "The group's memo.",
    "lineupMemo": 'The person\'s memo; "" without one.',
    "lineupMemocolor": '#RRGGBB; "" for none.',
    "revision": "The room's revision at which this row last changed.",
}
"""Descriptions of fields whose names do not explain them."""

_TIMES: Final = {"createdAt", "updatedAt", "changedAt"}


def reference(name: str) -> Schema:
    """Return a reference to a component."""
    return {"$ref": SCHEMAS + name}


def schemas() -> dict[str, Schema]:
    """Return all components, by name."""
    roots, generated = msgspec.json.schema_components(
        _TYPES.values(), ref_template=SCHEMAS + "{name}"
    )
    # Generic and private names become those that the operations use.
    names = {
        root["$ref"].removeprefix(SCHEMAS): name for name, root in zip(_TYPES, roots, strict=True)
    }
    components = {
        names.get(name, name): _renamed(schema, names) for name, schema in generated.items()
    }
    for name in ("StopTraceBody", "TraceBody"):
        components[name]["oneOf"] = _USER_OR_SESSION
    for name, schema in components.items():
        schema["title"] = name
        _mark_times(schema)
        if all(isinstance(value, str) for value in schema.get("enum", [0])):
            schema["type"] = "string"
    components["Row"]["description"] = "A person in the line-up."
    for field, meaning in _ROW.items():
        components["Row"]["properties"][field]["description"] = meaning
    for body in _BODIES:
        for member in msgspec.structs.fields(body):
            if member.default is UNSET:
                _require(components[body.__name__], member.encode_name)
    for spec in COMMANDS:
        for route in spec.routes:
            if route.parameter is None and spec.target is not None:
                body = route.body or spec.body
                _require_target(components[body.__name__], spec.target.spellings[-1])
    components["MemoBody"]["anyOf"] = _MEMO_OR_COLOR
    components["UndoBody"]["oneOf"] = _COMMAND_OR_REVISION
    item = components["AssignmentBody"]
    del item["properties"]["lineupId"]  # as for the other commands
    _require_target(item, "userRetreatRegistrationId")
    return components


_MEMO_OR_COLOR: Final = [
    {
        "title": "A text",
        "properties": {"memo": {"type": "string", "pattern": f"[^{SHOWS_NOTHING}]"}},
    },
    {
        "title": "Only a colour",
        "properties": {"color": {"type": "string", "pattern": "^#[0-9A-Fa-f]{6}$"}},
        "required": ["color"],
    },
]

_COMMAND_OR_REVISION: Final = [
    {
        "title": "By the command",
        "properties": {"commandId": {"type": "string"}, "revision": {"type": "null"}},
        "required": ["commandId"],
    },
    {
        "title": "By the revision",
        "properties": {
            "commandId": {"type": "null"},
            "revision": {"type": "integer"},
            "epoch": {"type": "string"},
        },
        "required": ["revision", "epoch"],
    },
]

_USER_OR_SESSION: Final = [
    {
        "title": "A user",
        "properties": {"userId": {"type": ["integer", "string"]}, "sid": {"type": "null"}},
        "required": ["userId"],
    },
    {
        "title": "A session",
        "properties": {"userId": {"type": "null"}, "sid": {"type": "string"}},
        "required": ["sid"],
    },
]


def error_schema(codes: Collection[str]) -> Schema:
    """Return the schema of an error that has one of these codes."""
    return {
        "allOf": [reference("Error"), {"properties": {"code": {"enum": sorted(codes)}}}],
    }


def _require(schema: Schema, field: str) -> None:
    schema["required"] = [*schema["required"], field]
    schema["properties"][field].pop("default", None)


def _require_target(schema: Schema, field: str) -> None:
    """Require the id of what a command addresses; ``null`` counts as absent."""
    _require(schema, field)
    described = schema["properties"][field]
    described["anyOf"] = [each for each in described["anyOf"] if each != {"type": "null"}]


def _mark_times(schema: Schema) -> None:
    for name, described in schema.get("properties", {}).items():
        if name in _TIMES:
            for each in described.get("anyOf", [described]):
                if each.get("type") == "string":
                    each["format"] = "date-time"


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """Return a schema with its references as the components are named here."""
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    renamed = {key: _renamed(each, names) for key, each in value.items()}
    if any(each.get("type") == "integer" for each in renamed.get("anyOf", ())):
        # 5.0 is an integer to JSON Schema (Validation §6.1.1); no other float is accepted.
        renamed["anyOf"] = [each for each in renamed["anyOf"] if each != {"type": "number"}]
    if isinstance(target := renamed.get("$ref"), str):
        name = target.removeprefix(SCHEMAS)
        renamed["$ref"] = SCHEMAS + names.get(name, name)
    return renamed
