import pytest
import trio
import trio.lowlevel

from gbs_actor.concurrency import background, exceptions_in


async def failing() -> None:
    await trio.lowlevel.checkpoint()
    raise OSError("the task")


async def test_the_task_ends_with_the_block() -> None:
    ended = False

    async def task() -> None:
        nonlocal ended
        try:
            await trio.sleep_forever()
        finally:
            ended = True

    async with background(task):
        await trio.lowlevel.checkpoint()
    assert ended


async def test_an_exception_of_the_block_leaves_as_it_is() -> None:
    with pytest.raises(ValueError, match="the block"):
        async with background(trio.sleep_forever):
            raise ValueError("the block")


async def test_an_exception_of_the_task_cancels_the_block() -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        async with background(failing):
            await trio.sleep_forever()
    assert [str(error) for error in exceptions_in(caught.value)] == ["the task"]


async def fail_in_both() -> None:
    async with background(failing):
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("the block")


async def test_where_both_fail_neither_is_lost() -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        await fail_in_both()
    assert sorted(str(error) for error in exceptions_in(caught.value)) == ["the block", "the task"]
