"""The types of everything on the wire, in TypeScript: made from those of the server.

python -m scripts.wire_types > gbs_actor/web/client/wire.d.ts
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID

import msgspec
from msgspec import NODEFAULT, UNSET, Raw, UnsetType
from msgspec.structs import FieldInfo, fields

from gbs_actor.contract import payloads
from gbs_actor.contract.batch_form import ChangeSummary, DeletedGroup, GroupUpdate
from gbs_actor.contract.commands import COMMANDS
from gbs_actor.contract.events import ClientEvent, ServerEvent
from gbs_actor.gateway import replies
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.records import Row
from gbs_actor.rooms.delivery import Editing, Presence


class LineupsUpdate(msgspec.Struct):
    """Changed rows and groups, and what changed them."""

    revision: int
    rows: list[Row]
    groups: list[GroupUpdate | DeletedGroup]
    changes: list[ChangeSummary]
    removed: list[int] | UnsetType = UNSET


SERVER_EVENTS: Final[Mapping[str, Any]] = {
    ServerEvent.INITIAL_DATA: list[Row],
    ServerEvent.LINEUP_UPDATED: Row,
    ServerEvent.LINEUPS_UPDATED: LineupsUpdate,
    ServerEvent.USER_EDITING: Editing,
    ServerEvent.ROOM_PRESENCE: Presence,
    ServerEvent.ERROR: replies.ErrorBody,
}
"""What each event of the server carries."""

CLIENT_EVENTS: Final[Mapping[str, Any]] = {
    ClientEvent.JOIN_RETREAT: payloads._join.type,
    ClientEvent.LEAVE_RETREAT: payloads._leave.type,
    ClientEvent.USER_EDITING: payloads._editing.type,
    ClientEvent.AUTHENTICATE: payloads._authenticate.type,
    ClientEvent.GBS_LIST: payloads._gbs_list.type,
    **{spec.event: spec._argument_decoder.type for spec in COMMANDS},
}
"""What each event of a client carries."""

_NAMES: Final[Mapping[Any, str]] = {
    replies._Ok: "Ok",
    replies._Joined: "Joined",
    replies.ErrorBody: "ErrorReply",
}
"""Of the types that need another name than the server's."""
_SIMPLE: Final[Mapping[Any, str]] = {
    int: "number",
    float: "number",
    str: "string",
    bool: "boolean",
    UUID: "string",
    datetime: "string",
    object: "unknown",
    Any: "unknown",
    type(None): "null",
    Raw: "T",
}


class Declarations:
    """Interfaces of the types that are used, in the order in which they were."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._optional: Callable[[FieldInfo], bool] = _is_unset

    def __str__(self) -> str:
        return "\n".join(self._texts.values())

    def declare(self, name: str, struct: type[msgspec.Struct]) -> None:
        """Add the interface of a struct."""
        if name in self._texts:
            return
        self._texts[name] = ""  # its place, while what it contains is declared
        body = self._body(struct, "")
        generic = "<T>" if re.search(r"\bT\b", body) else ""
        self._texts[name] = f"{_comment(struct)}export interface {name}{generic} {body}\n"

    def events(self, name: str, comment: str, payloads: Mapping[str, Any]) -> None:
        """Add the interface that has the payload of each event, as the server sends it."""
        lines = [
            f'  "{event}": {self.typescript(payload)};\n' for event, payload in payloads.items()
        ]
        self._texts[name] = f"/** {comment} */\nexport interface {name} {{\n{''.join(lines)}}}\n"

    def arguments(self, name: str, comment: str, payloads: Mapping[str, Any]) -> None:
        """Add the interface that has the argument of each event: what has a default is optional."""
        self._optional = _has_default
        lines = [
            f'  "{event}": {self._argument(payload)};\n' for event, payload in payloads.items()
        ]
        self._optional = _is_unset
        self._texts[name] = f"/** {comment} */\nexport interface {name} {{\n{''.join(lines)}}}\n"

    def typescript(self, given: Any) -> str:
        """Return a type in TypeScript, and declare what it is made of."""
        if isinstance(given, TypeVar):
            return "T"
        if given in _SIMPLE:
            return _SIMPLE[given]
        origin, arguments = get_origin(given), get_args(given)
        if origin is Annotated:
            return self.typescript(arguments[0])
        if origin is Literal:
            return " | ".join(msgspec.json.encode(each).decode() for each in arguments)
        if origin in (Union, types.UnionType):
            names = [self.typescript(each) for each in arguments if each is not UnsetType]
            return " | ".join(dict.fromkeys(names))
        if origin in (list, tuple):
            item = self.typescript(arguments[0])
            return f"({item})[]" if " " in item else f"{item}[]"
        if issubclass(given, Enum):
            values = "".join(f'\n  | "{each.value}"' for each in given)
            comment = _comment(given)
            self._texts[given.__name__] = f"{comment}export type {given.__name__} ={values};\n"
            return str(given.__name__)
        assert issubclass(given, msgspec.Struct), given
        name: str = _NAMES.get(given, given.__name__.removesuffix("Body"))
        self.declare(name, given)
        return name

    def _argument(self, given: Any) -> str:
        if get_origin(given) in (Union, types.UnionType):
            return " | ".join(self._argument(each) for each in get_args(given))
        if isinstance(given, type) and issubclass(given, msgspec.Struct):
            return self._body(given, "  ")
        return self.typescript(given)

    def _body(self, struct: type[msgspec.Struct], indent: str) -> str:
        members = ""
        for field in fields(struct):
            mark = "?" if self._optional(field) else ""
            members += f"{indent}  {field.encode_name}{mark}: {self.typescript(field.type)};\n"
        return f"{{\n{members}{indent}}}"


def _is_unset(field: FieldInfo) -> bool:
    return UnsetType in get_args(field.type)


def _has_default(field: FieldInfo) -> bool:
    return field.default is not NODEFAULT or field.default_factory is not NODEFAULT


def _comment(given: type) -> str:
    text = (given.__doc__ or "").partition("\n")[0].replace("``", "`")
    return f"/** {text} */\n" if text else ""


def wire_types() -> str:
    """Return the contents of ``wire.d.ts``."""
    declarations = Declarations()
    declarations.events("ServerEvents", "Events of the server.", SERVER_EVENTS)
    declarations.arguments("ClientEvents", "Events of a client.", CLIENT_EVENTS)
    declarations.typescript(Code)
    for struct in (replies._Ok, replies._Joined, replies.ErrorBody, replies.ChangeResult):
        declarations.typescript(struct)
    return (
        "// Made by scripts/wire_types.py from the types of the server; not to be edited.\n\n"
        f"{declarations}"
    )


if __name__ == "__main__":
    print(wire_types(), end="")
