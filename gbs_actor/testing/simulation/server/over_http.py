"""What a simulated client reads and writes over HTTP."""

from __future__ import annotations

from gbs_actor.contract.events import CommandEvent
from gbs_actor.testing.peers import PeerClosed
from gbs_actor.testing.simulation.arguments import argument_of
from gbs_actor.testing.simulation.history import READ, Json
from gbs_actor.testing.simulation.plan import SLUGS, Participant
from gbs_actor.testing.simulation.plan.steps import Invoke, Read
from gbs_actor.testing.simulation.replica import Replica
from gbs_actor.testing.simulation.server import requests
from gbs_actor.testing.simulation.server.invocations import Invocations
from gbs_actor.testing.simulation.server.requests import Request
from gbs_actor.testing.simulation.server.run import Run


class HttpClient:
    """A participant's requests, each over a connection of its own.

    :param replica: what it shows, from which its requests are made.
    """

    def __init__(
        self, participant: Participant, run: Run, invocations: Invocations, replica: Replica
    ) -> None:
        self._participant = participant
        self._run = run
        self._invocations = invocations
        self._replica = replica

    def write(self, step: Invoke, slug: str) -> None:
        """Give a command."""
        self._run.nursery.start_soon(self._write, step, slug)

    async def _write(self, step: Invoke, slug: str) -> None:
        argument = argument_of(step, self._replica)
        argument.pop("retreatSlug", None)
        if step.event != CommandEvent.UNDO:
            argument.pop("epoch", None)
        request = requests.write(slug, step.event, argument, headers=self._run.chance() < 0.5)
        await self._request(step.event, argument, slug, request)

    def read(self, step: Read) -> None:
        """Read a retreat over HTTP."""
        slug, replica = SLUGS[step.retreat], self._replica
        since = epoch = None
        if step.behind is not None and replica.slug == slug:
            since, epoch = max(0, replica.since - step.behind), replica.epoch
        path = requests.read(slug, since, epoch)
        argument = {"since": since, "epoch": epoch}
        self._run.nursery.start_soon(self._request, READ, argument, slug, Request("GET", path))

    async def _request(
        self,
        event: str,
        argument: Json,
        slug: str,
        request: Request,
    ) -> None:
        number = self._invocations.invoked(event, argument, slug, None, None, outside=True)
        try:
            reply = await self._run.http(self._participant, request)
        except (OSError, PeerClosed):
            self._invocations.abandon(number, event, argument)
            return
        self._run.counters[f"status: {reply.status}"] += 1
        self._invocations.answered(number, requests.ack(reply))
