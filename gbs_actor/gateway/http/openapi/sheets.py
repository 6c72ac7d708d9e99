"""The operations on sheets: exports, and imports in two steps."""

from __future__ import annotations

from typing import Any, Final

from gbs_actor.contract.command_spec import LINE_UP_PATH
from gbs_actor.gateway.http.openapi.parameters import parameters
from gbs_actor.gateway.http.openapi.responses import errors, json, success
from gbs_actor.gateway.http.openapi.schemas import reference
from gbs_actor.gateway.http.sheets import IMPORTS, PASTED, XLSX

Described = dict[str, Any]

_READ_ERRORS: Final = (400, 401, 403, 404, 429, 500, 503)


def _workbook(operation: str, summary: str, description: str, *names: str) -> Described:
    """Return an operation that answers with an .xlsx."""
    return {
        "operationId": operation,
        "tags": ["line-up"],
        "summary": summary,
        "description": description,
        "parameters": parameters("slug", *names),
        "responses": {
            "200": {
                "description": "An .xlsx.",
                "content": {XLSX: {"schema": {"type": "string", "format": "binary"}}},
            },
            **errors(*_READ_ERRORS),
        },
    }


_EXPORT: Final = (
    "A row for each person; three hidden columns at the left say what it was exported from, for "
    "when it comes back. Text is written as text."
)
_FILE: Final[Described] = {"type": "string", "format": "binary"}

_UPLOAD: Final[Described] = {
    "operationId": "uploadSheet",
    "tags": ["line-up"],
    "summary": "Show what an edited sheet would change.",
    "description": "An .xlsx, .xls, .ods or CSV, or a range pasted as text. It waits to be "
    "applied by the same user for 30 minutes, unless newer ones need its room. A cell is a change "
    "only if it differs from what was exported. An empty group number leaves the person as they "
    "are; `-` takes them out of their group. What cannot be read is refused in one sentence.",
    "parameters": parameters("slug", "applyLineupNumber"),
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": _FILE},
            XLSX: {"schema": _FILE},
            "text/plain": {"schema": {"type": "string"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": _FILE, PASTED: {"type": "string"}},
                }
            },
        },
    },
    "responses": {
        "200": success("ImportPreview", "The changes, and what stands in their way."),
        **errors(400, 401, 403, 404, 408, 413, 429, 500, 503),
    },
}

_APPLY: Final[Described] = {
    "operationId": "applyImport",
    "tags": ["line-up"],
    "summary": "Apply an import as one bulk edit.",
    "description": "The sheet is compared with the line-up as it is by then: IMPORT_BLOCKED and "
    "NOT_ACKNOWLEDGED list what stands in the way. However often it is sent, it takes effect once.",
    "parameters": parameters("slug", "importId"),
    "requestBody": {"required": False, "content": json(reference("ApplyBody"))},
    "responses": {
        "200": success("ChangeResult", "The change is durable, and sent to all pages."),
        **errors(400, 401, 403, 404, 408, 409, 413, 415, 429, 500, 503, 504),
    },
}


def paths() -> dict[str, Described]:
    """Return the paths of sheets."""
    roster = ("Export the line-up as a sheet.", _EXPORT)
    problems = "For whoever has to mend the sheet: a row for each."
    described = {
        "/registration-roster-excel": {"get": _workbook("exportRoster", *roster)},
        "/export.xlsx": {"get": _workbook("exportSheet", *roster)},
        "/template.xlsx": {
            "get": _workbook(
                "exportTemplate", "Get an example of a sheet.", "With people who are made up."
            )
        },
        IMPORTS: {"post": _UPLOAD},
        f"{IMPORTS}/{{importId}}/apply": {"post": _APPLY},
        **{
            f"{IMPORTS}/{{importId}}/{listed}.xlsx": {
                "get": _workbook(operation, f"Get the {listed} as a sheet.", problems, "importId")
            }
            for listed, operation in (("blocks", "exportBlocks"), ("warnings", "exportWarnings"))
        },
    }
    return {LINE_UP_PATH + path: operations for path, operations in described.items()}
