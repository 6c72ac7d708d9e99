"""What the server's history samples: figures of the interval, not of the last minutes."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.server.sampling import ServerSampler
from tests.gateway.serving import SLUG, World, world


def sampler(here: World) -> ServerSampler:
    served = here.services
    return ServerSampler(served.rooms, served.clients, served.store, served.loop_lag)


async def test_a_sample_is_of_the_time_since_the_one_before(autojump_clock: MockClock) -> None:
    async with world() as here:
        lag, rooms = here.services.loop_lag, here.rooms
        await here.assign(2, 1)
        samples = sampler(here)
        await here.assign(2, 2)
        await here.assign(2, 3)
        lag.add(0.5, trio.current_time())
        for _ in range(100):  # far more than the edits above
            rooms.times.ack.add(0.25, trio.current_time())
        await trio.sleep(10)
        first = samples.sample()
        assert first.rooms == 1
        assert first.edits_per_second == pytest.approx(2 / 10)
        assert first.loop_lag_p99 == pytest.approx(0.5, rel=0.3)
        assert first.ack_p50 == pytest.approx(0.25, rel=0.3)
        assert first.commit_p99 is not None
        assert first.memory
        assert first.memory > 1_000_000
        await trio.sleep(10)
        quiet = samples.sample()
        assert (quiet.edits_per_second, quiet.restarts) == (0, 0)
        assert quiet.loop_lag_p99 is quiet.ack_p99 is quiet.commit_p99 is None


async def test_a_room_that_has_closed_takes_no_edits_away(autojump_clock: MockClock) -> None:
    async with world() as here:
        samples = sampler(here)
        await here.assign(2, 1)
        await here.rooms.drain()
        await trio.sleep(10)
        assert here.rooms.room_statistics(SLUG) is None
        sample = samples.sample()
        assert sample.rooms == 0
        assert sample.edits_per_second == pytest.approx(1 / 10)
