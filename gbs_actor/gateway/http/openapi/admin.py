"""The operations for operators, by path and method."""

from __future__ import annotations

from typing import Any, Final

from gbs_actor.gateway.http.admin.forwarding import OF_ONE_SERVER, kind_of
from gbs_actor.gateway.http.openapi.parameters import parameters
from gbs_actor.gateway.http.openapi.responses import SET_COOKIE, errors, json, success
from gbs_actor.gateway.http.openapi.schemas import reference

Described = dict[str, Any]

_OPERATORS: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"adminSession": []}]


def paths() -> dict[str, Described]:
    """Return the paths of operators."""
    return _PATHS


_NODES: Final[Described] = {
    "operationId": "readNodes",
    "tags": ["operators"],
    "summary": "Show all servers on the database.",
    "description": "A server without a node name is the only one. The others report themselves "
    "once a second; one that has not for ten seconds is `gone`, and is shown for an hour.",
    "security": _OPERATORS,
    "responses": {
        "200": success("Nodes", "The servers, by name."),
        **errors(401, 403, 429, 500, 503),
    },
}

_ROOMS: Final[Described] = {
    "operationId": "readRooms",
    "tags": ["operators"],
    "summary": "Show the open rooms, page by page.",
    "description": "Of the retreats in which the user is an operator. `total` counts all that "
    "match.",
    "security": _OPERATORS,
    "parameters": parameters("state", "search", "sort", "offset", "limit"),
    "responses": {
        "200": success("Rooms", "The statistics of the rooms."),
        **errors(400, 401, 403, 429, 500),
    },
}

_ROOM: Final[Described] = {
    "operationId": "readRoom",
    "tags": ["operators"],
    "summary": "Show one open room as a whole.",
    "description": "With the batch in hand, the last changes, crashes with their tracebacks, who "
    "is there, and up to 500 subscribers.",
    "security": _OPERATORS,
    "parameters": parameters("slug"),
    "responses": {
        "200": success("Room", "The statistics of the room."),
        **errors(400, 401, 403, 404, 429, 500, 503),
    },
}

_EVENTS: Final[Described] = {
    "operationId": "readEvents",
    "tags": ["operators"],
    "summary": "Show what operators are notified of.",
    "description": "The oldest events after a number; without `after` the newest ones. With "
    "`Accept: text/event-stream` they come as they happen, as server-sent events whose ids are "
    "`<run>-<number>`: after `Last-Event-ID` or `after`, else from now on. One of the type `gap` "
    "has how many were `missed`. The stream ends with the token, or the session, and when the "
    "server shuts down.",
    "security": _OPERATORS,
    "parameters": parameters("after", "kind", "room", "user", "eventLimit"),
    "responses": {
        "200": success("Events", "The events, and the number to go on from."),
        **errors(400, 401, 403, 429, 500),
    },
}

_SYSTEM: Final[Described] = {
    "operationId": "readSystem",
    "tags": ["operators"],
    "summary": "Show the whole server: process, database, connections, limits, settings.",
    "description": "The figures are at most a second old.",
    "security": _OPERATORS,
    "responses": {
        "200": success("System", "The statistics of all parts."),
        **errors(401, 403, 429, 500),
    },
}

_OVERVIEW: Final[Described] = {
    "operationId": "readOverview",
    "tags": ["operators"],
    "summary": "Show the whole server at a glance.",
    "description": "The figures are at most a second old; asking for them every second is cheap.",
    "security": _OPERATORS,
    "responses": {
        "200": success("Overview", "The figures that matter most."),
        **errors(401, 403, 429, 500),
    },
}

_HISTORY: Final[Described] = {
    "operationId": "readHistory",
    "tags": ["operators"],
    "summary": "Show the last hour: a sample every ten seconds.",
    "security": _OPERATORS,
    "responses": {
        "200": success("History", "The samples, by series."),
        **errors(401, 403, 429, 500),
    },
}

_TASK_TREE: Final[Described] = {
    "operationId": "readTaskTree",
    "tags": ["operators"],
    "summary": "Show the tasks of the server, and where each waits.",
    "security": _OPERATORS,
    "responses": {
        "200": success("TaskTree", "The tasks; of many alike some are shown."),
        **errors(401, 403, 429, 500),
    },
}

_METRICS: Final[Described] = {
    "operationId": "readMetrics",
    "tags": ["operators"],
    "summary": "What Prometheus scrapes.",
    "description": "For operators of everything, and for the token of metrics in the settings. "
    "As OpenMetrics, if `Accept` names that. The figures are at most a second old.",
    "security": [{"bearer": []}],
    "responses": {
        "200": {
            "description": "All metrics.",
            "content": {
                name: {"schema": {"type": "string"}}
                for name in ("text/plain", "application/openmetrics-text")
            },
        },
        **errors(401, 403, 429, 500),
    },
}

_SESSIONS: Final[Described] = {
    "operationId": "readSessions",
    "tags": ["operators"],
    "summary": "Show who is connected, page by page.",
    "description": "In rooms of those retreats in which the user is an operator; to operators of "
    "the whole server also those who are in no room. `total` counts all that match. With thousands "
    "of sessions the figures may be some seconds old, at most ten.",
    "security": _OPERATORS,
    "parameters": parameters(
        "searchSessions", "room", "protocol", "sortSessions", "offset", "limit"
    ),
    "responses": {
        "200": success("Sessions", "The sessions."),
        **errors(400, 401, 403, 429, 500),
    },
}

_ONE_SESSION: Final[Described] = {
    "operationId": "readSession",
    "tags": ["operators"],
    "summary": "Show one session as a whole.",
    "security": _OPERATORS,
    "parameters": parameters("sid"),
    "responses": {"200": success("Session", "The session."), **errors(401, 403, 404, 429, 500)},
}

_CLOSED: Final[Described] = {
    "operationId": "readClosedSessions",
    "tags": ["operators"],
    "summary": "Show who was connected, or was refused, and why it ended; the newest first.",
    "description": "The last of each are kept. Those who were in no room are shown to operators of "
    "the whole server only, as are the counts.",
    "security": _OPERATORS,
    "parameters": parameters(
        "searchSessions", "userId", "address", "reason", "accepted", "offset", "limit"
    ),
    "responses": {
        "200": success("ClosedSessions", "What has ended, with how many there were per reason."),
        **errors(400, 401, 403, 429, 500),
    },
}

_TRACES: Final[Described] = {
    "operationId": "readTraces",
    "tags": ["operators"],
    "summary": "Show the traces that are running.",
    "security": _OPERATORS,
    "responses": {"200": success("Traces", "The traces."), **errors(401, 403, 429, 500)},
}

_START_TRACE: Final[Described] = {
    "operationId": "startTrace",
    "tags": ["operators"],
    "summary": "Trace a user or a session for some minutes, in place of a former trace of it.",
    "description": "Each event that they send and are sent becomes an operator event and a line of "
    "the log, with its name, size, ids, revision and code. A user's sessions to come are traced, "
    "too. It ends by itself.",
    "security": _OPERATORS,
    "parameters": parameters("dryRun", "csrfToken"),
    "requestBody": {"required": True, "content": json(reference("TraceBody"))},
    "responses": {
        "200": success("TracesChanged", "The traces that are running by now."),
        **errors(400, 401, 403, 404, 408, 413, 429, 500),
    },
}

_STOP_TRACE: Final[Described] = {
    "operationId": "stopTrace",
    "tags": ["operators"],
    "summary": "Stop a trace.",
    "security": _OPERATORS,
    "parameters": parameters("dryRun", "csrfToken"),
    "requestBody": {"required": True, "content": json(reference("StopTraceBody"))},
    "responses": {
        "200": success("TracesChanged", "The traces that are running by now."),
        **errors(400, 401, 403, 408, 413, 429, 500),
    },
}

_BEGIN_SESSION: Final[Described] = {
    "operationId": "beginAdminSession",
    "tags": ["operators"],
    "summary": "Begin a session of a browser.",
    "description": "It ends with the token, after 12 hours at most.",
    "security": [{"bearer": []}],
    "responses": {
        "200": success("OperatorSession", "It has begun.", headers=SET_COOKIE),
        **errors(400, 401, 403, 429, 500),
    },
}

_SHOW_SESSION: Final[Described] = {
    "operationId": "readAdminSession",
    "tags": ["operators"],
    "summary": "Show who is using this.",
    "security": _OPERATORS,
    "responses": {
        "200": success("OperatorSession", "The operator, and the CSRF token of the session."),
        **errors(401, 403, 429, 500),
    },
}

_END_SESSION: Final[Described] = {
    "operationId": "endAdminSession",
    "tags": ["operators"],
    "summary": "End the session, on all servers.",
    "security": _OPERATORS,
    "parameters": parameters("csrfToken"),
    "responses": {
        "200": success("EndedSession", "It has ended, but not everywhere.", headers=SET_COOKIE),
        "204": {"description": "There is none any more.", "headers": SET_COOKIE},
        **errors(401, 403, 429, 500),
    },
}

_AUDIT: Final[Described] = {
    "operationId": "readAudit",
    "tags": ["operators"],
    "summary": "Show what operators did and looked at, and what was refused.",
    "description": "The newest first; `next` is for `before`.",
    "security": _OPERATORS,
    "parameters": parameters("before", "operator", "action", "target", "limit"),
    "responses": {
        "200": success("Audit", "The records."),
        **errors(400, 401, 403, 429, 500, 503),
    },
}

_LOG_LEVELS: Final[Described] = {
    "operationId": "readLogLevels",
    "tags": ["operators"],
    "summary": "Show the levels of the log, and the loggers that have one for some time.",
    "security": _OPERATORS,
    "responses": {
        "200": success("LogLevels", "The levels."),
        **errors(401, 403, 429, 500),
    },
}


def _action(
    operation: str,
    summary: str,
    *path: str,
    body: str = "ActionBody",
    result: str = "ActionResult",
    description: str = "",
    statuses: tuple[int, ...] = (),
) -> Described:
    """Return an operation with which operators change something.

    :param path: parameters in its path.
    :param statuses: of errors that others do not have.
    """
    return {
        "operationId": operation,
        "tags": ["operators"],
        "summary": summary,
        **({"description": description} if description else {}),
        "security": _OPERATORS,
        "parameters": parameters(*path, "dryRun", "csrfToken"),
        "requestBody": {"required": True, "content": json(reference(body))},
        "responses": {
            "200": success(result, "What was done, and what has come of it."),
            **errors(*sorted((400, 401, 403, 408, 413, 429, 500, *statuses))),
        },
    }


def _room_action(operation: str, summary: str, description: str) -> Described:
    return _action(
        operation,
        summary,
        "slug",
        result="RoomActionResult",
        description=description,
        statuses=(503,),
    )


_ACTIONS: Final[dict[str, Described]] = {
    "/admin/rooms/{slug}/restart": _room_action(
        "restartRoom",
        "Load a room anew, after the batch in hand.",
        "Commands that wait stay queued, and clients stay in the room.",
    ),
    "/admin/rooms/{slug}/recover": _room_action(
        "recoverRoom",
        "Start a room that has crashed at once.",
        "Its crashes are counted anew.",
    ),
    "/admin/rooms/{slug}/stop": _room_action(
        "stopRoom",
        "Finish what was submitted, and stop a room.",
        "The connections of its clients are closed at once. They come back, and open it again.",
    ),
    "/admin/rooms/{slug}/drain": _room_action(
        "drainRoom",
        "Stop a room, and close the connections of its clients over some seconds.",
        "It is answered at once. They come back, wait for its end, and open it again.",
    ),
    "/admin/sessions/{sid}/kick": _action(
        "kickSession",
        "Disconnect a client for good.",
        "sid",
        result="KickResult",
        description="It gets `error` FORBIDDEN and does not come back by itself; its user may.",
        statuses=(503,),
    ),
    "/admin/users/{userId}/kick": _action(
        "kickUser",
        "Disconnect all clients of a user for good.",
        "kickedUserId",
        result="KickResult",
    ),
    "/admin/drain": _action(
        "drainServer", "Stop the server as SIGTERM does.", description="It does not start again."
    ),
    "/admin/log-level": _action(
        "changeLogLevel",
        "Change the level of a logger for some minutes.",
        body="LogLevelBody",
        result="LogLevelResult",
    ),
    "/admin/profile": _action(
        "profileLoop",
        "Show what the event loop does for some seconds, and its slowest steps.",
        body="ProfileBody",
        result="ProfileResult",
        statuses=(409,),
    ),
}

_ADMIN: Final[dict[str, Described]] = {
    "/admin/events": {"get": _EVENTS},
    "/admin/audit": {"get": _AUDIT},
    "/admin/log-levels": {"get": _LOG_LEVELS},
    **{path: {"post": action} for path, action in _ACTIONS.items()},
    "/admin/history": {"get": _HISTORY},
    "/admin/overview": {"get": _OVERVIEW},
    "/admin/nodes": {"get": _NODES},
    "/admin/rooms": {"get": _ROOMS},
    "/admin/rooms/{slug}": {"get": _ROOM},
    "/admin/session": {"post": _BEGIN_SESSION, "get": _SHOW_SESSION, "delete": _END_SESSION},
    "/admin/sessions": {"get": _SESSIONS},
    "/admin/sessions/{sid}": {"get": _ONE_SESSION},
    "/admin/closed": {"get": _CLOSED},
    "/admin/traces": {"get": _TRACES, "post": _START_TRACE},
    "/admin/traces/stop": {"post": _STOP_TRACE},
    "/admin/system": {"get": _SYSTEM},
    "/admin/task-tree": {"get": _TASK_TREE},
    "/metrics": {"get": _METRICS},
}


def _of_one_server(described: Described) -> Described:
    """Return an operation that may also be asked of another server."""
    return {
        **described,
        "parameters": [*described.get("parameters", ()), *parameters("node")],
        "responses": {**errors(400, 404, 503, 504), **described["responses"]},
    }


_PATHS: Final[dict[str, Described]] = {
    path: {
        method: _of_one_server(described) if kind_of(path) in OF_ONE_SERVER else described
        for method, described in operations.items()
    }
    for path, operations in _ADMIN.items()
}
