"""SIGTERM under load, with what the clients see of it."""

from __future__ import annotations

import trio

from tests.e2e.server_process import running_server
from tests.faults.editing import STALLED, editing

STOPS = 5
EDITS_BETWEEN = 100


async def test_a_server_stopped_under_load_keeps_every_acknowledged_edit() -> None:
    with running_server(on_disk=True) as server:
        async with editing(server, count=8) as editors:
            for _ in range(STOPS):
                await editors.more(EDITS_BETWEEN)
                connections = [client.statistics().connections for client in editors.clients]
                assert await trio.to_thread.run_sync(server.stop) == 0
                await trio.to_thread.run_sync(server.start_again)
                with trio.fail_after(STALLED):
                    for client, before in zip(editors.clients, connections, strict=True):
                        await client.until(
                            lambda client, before=before: (  # type: ignore[misc]
                                client.connected and client.statistics().connections == before + 1
                            )
                        )
