"""A seed decides the order of tasks; what is changed of Trio for that is put back."""

from __future__ import annotations

import gc
import threading
from functools import partial

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio._core import _run
from trio.testing import MockClock

from gbs_actor.testing.scheduling import ThreadInSimulation, UnsupportedTrio, deterministic, run


async def order_of_tasks() -> list[int]:
    order: list[int] = []

    async def append(number: int) -> None:
        for _ in range(3):
            order.append(number)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(append, number)
    return order


@given(seed=st.integers(0, 2**64))
def test_a_seed_decides_the_order_of_tasks(seed: int) -> None:
    assert run(order_of_tasks, seed=seed) == run(order_of_tasks, seed=seed)


def test_other_seeds_give_other_orders() -> None:
    assert len({tuple(run(order_of_tasks, seed=seed)) for seed in range(20)}) == 20


def test_the_order_is_the_same_in_every_version_of_python() -> None:
    assert run(order_of_tasks, seed=1) == [
        4, 0, 2, 5, 1, 3, 3, 5, 4, 0, 2, 1, 3, 0, 5, 1, 4, 2,
    ]  # fmt: skip


def test_time_jumps_to_the_next_deadline() -> None:
    async def sleep() -> float:
        start = trio.current_time()
        await trio.sleep(86_400)
        return trio.current_time() - start

    assert run(sleep, seed=1) == 86_400


def test_a_run_of_ones_own_can_depend_on_a_seed_too() -> None:
    def with_another_clock() -> list[int]:
        with deterministic(7):
            return trio.run(order_of_tasks, clock=MockClock(rate=0, autojump_threshold=1e-9))

    assert with_another_clock() == with_another_clock()


def test_what_is_changed_of_trio_is_put_back() -> None:
    async def fail() -> None:
        assert _run._ALLOW_DETERMINISTIC_SCHEDULING
        assert not gc.isenabled()
        raise KeyError

    def state() -> tuple[object, ...]:
        return _run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r, _run._r.getstate(), gc.isenabled()

    before = state()
    with pytest.raises(KeyError):
        run(fail, seed=1)
    assert state() == before


@pytest.mark.parametrize(
    "name", ["_run._ALLOW_DETERMINISTIC_SCHEDULING", "_run._r", "_thread_cache.ThreadCache"]
)
def test_another_trio_is_refused_in_one_sentence(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(f"trio._core.{name}")
    with pytest.raises(UnsupportedTrio, match=rf"trio {trio.__version__} has no .*{name}"):
        run(order_of_tasks, seed=1)


def test_a_thread_in_a_simulation_raises() -> None:
    async def ask_trio() -> None:
        await trio.to_thread.run_sync(int)

    async def start() -> None:
        threading.Thread(target=int).start()

    trio.run(ask_trio)  # one that waits for work is refused, too
    for attempt in (ask_trio, start):
        with pytest.raises(ThreadInSimulation):
            run(attempt, seed=1)
    trio.run(ask_trio)


def test_other_threads_go_on_running_trio_meanwhile_and_change_nothing() -> None:
    begin, done = threading.Event(), threading.Event()

    def elsewhere() -> None:
        begin.wait()
        trio.run(order_of_tasks)
        done.set()

    async def twice(*, interrupted: bool) -> list[int]:
        first = await order_of_tasks()
        if interrupted:
            begin.set()
            assert done.wait(10)
        return first + await order_of_tasks()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    disturbed = run(partial(twice, interrupted=True), seed=1)
    thread.join()
    assert disturbed == run(partial(twice, interrupted=False), seed=1)


def test_it_is_refused_within_a_run_and_changes_nothing_there() -> None:
    async def within() -> None:
        before = _run._r.getstate()
        with pytest.raises(RuntimeError, match="before Trio runs"):
            run(order_of_tasks, seed=1)
        with pytest.raises(RuntimeError, match="before Trio runs"), deterministic(1):
            pass
        assert _run._r.getstate() == before

    trio.run(within)


def test_the_inner_of_two_seeds_counts_and_the_outer_one_goes_on() -> None:
    with deterministic(1):
        first = trio.run(order_of_tasks)
        with deterministic(2):
            inner = trio.run(order_of_tasks)
        second = trio.run(order_of_tasks)
    assert inner == run(order_of_tasks, seed=2)
    with deterministic(1):
        assert [trio.run(order_of_tasks) for _ in "ab"] == [first, second]


def test_other_threads_go_on_starting_threads_meanwhile() -> None:
    ended = threading.Event()
    begin = threading.Event()

    def elsewhere() -> None:
        begin.wait()
        threading.Thread(target=ended.set).start()

    async def wait() -> bool:
        begin.set()
        return ended.wait(10)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    assert run(wait, seed=1)
    thread.join()
