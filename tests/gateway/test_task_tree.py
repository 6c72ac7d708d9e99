"""The tree of tasks: where each waits, bounded, and without any value."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
import trio
import trio.testing

from gbs_actor.auth import Role
from gbs_actor.gateway.http.admin.task_tree import MAX_ALIKE, TaskNode, count_tasks, task_tree
from tests.gateway.serving import world


async def wait_here(secret: str) -> None:
    assert secret
    await trio.sleep_forever()


async def with_a_nursery(secret: str) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_here, secret, name="room 2024-winter")
        await wait_here(secret)


def walk(node: TaskNode) -> Iterator[TaskNode]:
    yield node
    for nursery in node.nurseries:
        for task in nursery.tasks:
            yield from walk(task)


async def test_it_shows_where_a_task_waits_and_what_it_has_started() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(with_a_nursery, "x")
        await trio.testing.wait_all_tasks_blocked()
        tree = await task_tree()
        nursery.cancel_scope.cancel()
    (found,) = (node for node in walk(tree.root) if node.name.endswith(".with_a_nursery"))
    here = __name__
    calls = [call.partition(":")[0] + call.rpartition(" ")[2] for call in found.waits_at]
    assert calls[:2] == [f"{here}with_a_nursery", f"{here}wait_here"]
    assert calls[-1].startswith("trio.")
    (started,) = found.nurseries[0].tasks
    assert started.name == "room 2024-winter"
    assert started.waits_at[0].startswith(f"{here}:")


async def test_it_has_all_tasks_up_to_the_one_that_asks() -> None:
    tree = await task_tree()
    shown = list(walk(tree.root))
    assert tree.tasks == len(shown)
    assert trio.lowlevel.current_task().name in {node.name for node in shown}


async def test_it_has_no_values() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(with_a_nursery, "geheim")
        await trio.testing.wait_all_tasks_blocked()
        assert b"geheim" not in msgspec.json.encode(await task_tree())
        nursery.cancel_scope.cancel()


async def test_a_task_that_has_not_started_waits_at_its_beginning() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_here, "x", name="new")
        tree = await task_tree()
        nursery.cancel_scope.cancel()
    (found,) = (node for node in walk(tree.root) if node.name == "new")
    assert [call.rpartition(" ")[2] for call in found.waits_at] == ["wait_here"]


async def test_of_many_alike_some_are_shown_and_all_are_counted() -> None:
    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(with_a_nursery, "x")
            nursery.start_soon(wait_here, "x", name=f"room {number:02}")
        nursery.start_soon(wait_here, "x", name="another")
        await trio.testing.wait_all_tasks_blocked()
        tree, counted = await task_tree(), await count_tasks()
        nursery.cancel_scope.cancel()
    kind = f"{__name__}.with_a_nursery"
    (parent,) = (
        each
        for node in walk(tree.root)
        for each in node.nurseries
        if any(task.name == "another" for task in each.tasks)
    )
    names = [task.name for task in parent.tasks]
    assert names == sorted(names)
    assert names.count(kind) == MAX_ALIKE
    assert [name for name in names if name.startswith("room")] == [
        f"room {number:02}" for number in range(MAX_ALIKE)
    ]
    # Those that are not shown, and the rooms that the tasks have started which are not shown.
    assert parent.others == {kind: 50 - MAX_ALIKE, "room": 2 * (50 - MAX_ALIKE)}
    assert counted[kind] == 50
    assert counted["room"] == 100
    assert sum(counted.values()) == tree.tasks


async def test_its_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gbs_actor.gateway.http.admin.task_tree.MAX_TASKS", 30)
    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(wait_here, "x", name=f"kind{number}")
        await trio.testing.wait_all_tasks_blocked()
        tree = await task_tree()
        nursery.cancel_scope.cancel()
    nodes = list(walk(tree.root))
    assert len(nodes) == 30
    others = sum(sum(each.others.values()) for node in nodes for each in node.nurseries)
    assert len(nodes) + others == tree.tasks


async def test_other_tasks_run_while_many_are_looked_at() -> None:
    steps = 0

    async def step() -> None:
        nonlocal steps
        while True:
            await trio.lowlevel.checkpoint()
            steps += 1

    async with trio.open_nursery() as nursery:
        for _ in range(2_000):
            nursery.start_soon(wait_here, "x")
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(step)
        await task_tree()
        await count_tasks()
        nursery.cancel_scope.cancel()
    assert steps >= 10


async def test_operators_are_shown_the_task_of_their_request() -> None:
    async with world() as here:
        response = await here.get("/admin/task-tree", here.bearer(role=Role.ADMIN_MINISTER))
        tree = msgspec.json.decode(response.body)
    assert tree["tasks"] >= 3
    assert "handle_request" in str(tree["root"])
