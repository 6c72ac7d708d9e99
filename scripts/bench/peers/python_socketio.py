"""python-socketio on uvicorn (uvloop, httptools) with asyncpg; does the same as ``node.cjs``.

PORT, JWT_SECRET, and PGHOST and so on, which asyncpg reads itself.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import asyncpg
import jwt
import socketio
import uvicorn

NAMESPACE = "/gbs-lineup"
EDIT = """UPDATE lineup SET "lineupMemo" = $2, "lineupMemocolor" = $3, "updatedAt" = $4,
          revision = nextval('revision') WHERE "lineupMemoId" = $1 RETURNING *"""

sio = socketio.AsyncServer(async_mode="asgi", ping_interval=25, ping_timeout=60)
retreats: dict[str, dict[int, dict[str, Any]]] = {}
pool: Any = None


async def start() -> None:
    global pool  # noqa: PLW0603  (python-socketio's handlers are functions of a module)
    pool = await asyncpg.create_pool(min_size=10, max_size=10)


async def load(slug: str) -> dict[int, dict[str, Any]]:
    if slug not in retreats:
        records = await pool.fetch("SELECT * FROM lineup WHERE retreat = $1 ORDER BY id", slug)
        retreats.setdefault(slug, {record["id"]: dict(record) for record in records})
    return retreats[slug]


async def connect(sid: str, environ: object, auth: dict[str, str]) -> None:
    try:
        jwt.decode(auth["token"], os.environ["JWT_SECRET"], algorithms=["HS256"])
    except (jwt.InvalidTokenError, KeyError) as error:
        raise socketio.exceptions.ConnectionRefusedError(str(error)) from None


async def join(sid: str, slug: str) -> dict[str, object]:
    rows = await load(slug)
    await sio.enter_room(sid, slug, namespace=NAMESPACE)
    return {"status": "OK", "data": list(rows.values()), "revision": 0}


async def update(sid: str, data: dict[str, Any]) -> dict[str, object]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    record = await pool.fetchrow(EDIT, data["memoId"], data["memo"], data["color"], now)
    if record is None:
        return {"status": "ERROR", "code": "NOT_FOUND"}
    row = dict(record)
    (await load(row["retreat"]))[row["id"]] = row
    await sio.emit("lineup-updated", row, room=row["retreat"], namespace=NAMESPACE)
    return {"status": "OK", "data": row, "revision": row["revision"]}


async def leave(sid: str, slug: str) -> dict[str, object]:
    await sio.leave_room(sid, slug, namespace=NAMESPACE)
    return {"status": "OK", "data": None, "revision": None}


async def echo(sid: str, *args: object) -> tuple[object, ...]:
    return args


HANDLERS = {
    "connect": connect,
    "join-retreat": join,
    "update-lineup-memo": update,
    "leave-retreat": leave,
    "message-with-ack": echo,
}

if __name__ == "__main__":
    for event, handler in HANDLERS.items():
        sio.on(event, handler, namespace=NAMESPACE)
    uvicorn.run(
        socketio.ASGIApp(sio, on_startup=start),
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        loop="uvloop",
        http="httptools",
        backlog=4_096,
        log_level="warning",
        access_log=False,
    )
