"""Requests of operators that another server is to serve: ``?node=NAME`` on whatever is of one.

The server that is asked authenticates them and stores them; the other one takes them from the
store, decides what the operator may do, and serves them like its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

import structlog
import trio
from hypercorn.typing import ASGIFramework
from quart import Blueprint, Request, Response, request

from gbs_actor.concurrency import background
from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.gateway.http.admin.audit import address_of
from gbs_actor.gateway.http.admin.events import asks_for_stream
from gbs_actor.gateway.http.admin.identity import (
    ADMIN_PATH,
    FORWARDED,
    SESSION_PATH,
    AdminIdentity,
    Operator,
    is_admin_path,
)
from gbs_actor.gateway.http.admin.responses import encoded_response
from gbs_actor.gateway.http.preconditions import single
from gbs_actor.gateway.http.responses import failure_response
from gbs_actor.gateway.nodes import NodeNotAnswering, Nodes, TooManyRequests
from gbs_actor.gateway.nodes.outgoing import ANSWER_WITHIN, DISCARD_WITHIN
from gbs_actor.gateway.nodes.request import (
    ForwardedRequest,
    ForwardedResponse,
    Method,
    UnreadableRequest,
    encoded,
    request_from,
    response_from,
)
from gbs_actor.gateway.replies import Failure, http_error
from gbs_actor.lineup.codes import Code
from gbs_actor.observability.profile import MAX_SECONDS
from gbs_actor.store.nodes import NodeReport

OF_ONE_SERVER: Final = frozenset(
    {
        *("rooms", "sessions", "closed", "users", "traces", "system", "overview", "history"),
        *("task-tree", "log-levels", "log-level", "profile", "drain", "events"),
    }
)
"""What can be asked of another server: the first segment below ``/admin``."""
_METHODS: Final[Mapping[str, Method]] = {"POST": "POST", "DELETE": "DELETE"}
"""Of requests that are forwarded; others are read like GET."""
_SLOW: Final = {"profile": MAX_SECONDS + ANSWER_WITHIN}
"""Seconds within which it has to be answered, where that may take longer."""
_LOOK: Final = 0.05
"""Seconds within which a shutdown is noticed."""
_log = structlog.get_logger(__name__)


class Forwarding:
    """Sends requests of operators to other servers.

    :param nodes: all servers on the store.
    :param ends_at: Trio time at which the shutdown of this one has to be over; inf: there is none.
    """

    def __init__(self, nodes: Nodes, ends_at: Callable[[], float]) -> None:
        self._nodes = nodes
        self._ends_at = ends_at

    async def to(self, node: str, asked: Request, operator: Operator) -> Response:
        """Return what another server responds to a request."""
        found = [each for each in self._nodes.others() if each.name == node]
        if not found:
            return failure_response(
                Failure.because(Code.NOT_FOUND, f"There is no server {node:.40}, or it is gone.")
            )
        arguments = asked.args.to_dict(flat=False)
        del arguments["node"]
        message = await _forwarded(asked, operator, arguments, part=False)
        try:
            response = await self._ask(found[0], message)
        except (NodeNotAnswering, TooManyRequests) as error:
            return failure_response(_failure(error))
        forwarded = encoded_response(response.body)
        forwarded.status_code = response.status
        if response.retry_after is not None:
            forwarded.headers["Retry-After"] = response.retry_after
        return forwarded

    async def part(
        self, asked: Request, operator: Operator, **arguments: str | int
    ) -> ForwardedRequest | None:
        """Return what the other servers are to serve of a request that this one serves, too.

        They record nothing in the audit but refusals. ``None``: it is a request to one server.

        :param arguments: other ones than those of the request.
        :raises InvalidPayload: it cannot be sent to others.
        """
        if operator.forwarded or self._nodes.name is None or "node" in asked.args:
            await trio.lowlevel.checkpoint()
            return None
        query = asked.args.to_dict(flat=False)
        query |= {name: [str(value)] for name, value in arguments.items()}
        return await _forwarded(asked, operator, query, part=True)

    async def read_from_others(
        self, part: ForwardedRequest | None
    ) -> dict[str, ForwardedResponse | None]:
        """Return what each of the other servers responds; ``None``: it has not responded."""
        responses: dict[str, ForwardedResponse | None] = {}
        with trio.move_on_after(ANSWER_WITHIN):
            await self._ask_all(self._nodes.others(), part, responses)
        return responses

    async def act_on_others(
        self, part: ForwardedRequest | None
    ) -> dict[str, ForwardedResponse | None]:
        """Let the other servers do what this one has done; return as :meth:`read_from_others`.

        Without the store, those that were there before have not responded. Nor have those that
        do not report any more: their clients may be connected still. Cancelled, it goes on; but a
        shutdown does not wait for it, beyond its time.
        """
        responses: dict[str, ForwardedResponse | None] = {}
        if part is not None:
            responses.update(dict.fromkeys(self._nodes.gone()))
        with trio.move_on_after(ANSWER_WITHIN, shield=True) as scope:
            async with background(partial(self._end_in_time, scope)):
                await self._ask_all(self._nodes.last_seen(), part, responses)
        return responses

    async def _end_in_time(self, scope: trio.CancelScope) -> None:
        """Let a scope end with a shutdown, once one has begun."""
        while True:
            scope.deadline = min(scope.deadline, self._ends_at() - DISCARD_WITHIN)
            await trio.sleep(_LOOK)

    async def _ask_all(
        self,
        nodes: Iterable[NodeReport],
        part: ForwardedRequest | None,
        responses: dict[str, ForwardedResponse | None],
    ) -> None:
        """Ask servers, and write down what they respond, each under its name."""

        async def ask(node: NodeReport, message: ForwardedRequest) -> None:
            with suppress(NodeNotAnswering, TooManyRequests):
                responses[node.name] = await self._ask(node, message)

        async with trio.open_nursery() as nursery:
            if part is not None:
                for each in nodes:
                    responses[each.name] = None
                    nursery.start_soon(ask, each, part)

    async def _ask(self, node: NodeReport, message: ForwardedRequest) -> ForwardedResponse:
        within = _SLOW.get(kind_of(message.path), ANSWER_WITHIN)
        asker = None if message.user is None else message.user.user_id
        answer = await self._nodes.outgoing.send(
            node, encoded(message), asker, acts=message.method != "GET", answer_within=within
        )
        try:
            return response_from(answer)
        except UnreadableRequest as error:
            _log.warning("a server's answer cannot be read", node=node.name, reason=str(error))
            raise NodeNotAnswering(node.name, begun=True) from None


def admin_forwarding(nodes: Nodes, identity: AdminIdentity, forwarding: Forwarding) -> Blueprint:
    """Return what passes requests with the field ``node`` on, if that is another server."""
    blueprint = Blueprint("admin_forwarding", __name__)

    @blueprint.before_app_request
    async def forward() -> Response | None:
        if not is_admin_path(request.path) or "node" not in request.args:
            return None
        if request.routing_exception is not None:
            return None  # no server has this address, or method
        if request.method == "OPTIONS":
            return None  # it is the same on all
        node, kind = single("node", request.args), kind_of(request.path)
        if node is None or (node == nodes.name and kind in OF_ONE_SERVER):
            return None
        operator = await _require(request, identity)
        if kind not in OF_ONE_SERVER:
            raise InvalidPayload("node", "This is not of one server: leave out node.")
        if kind == "events" and asks_for_stream(request):
            raise InvalidPayload("node", "Another server has no stream: ask for pages of events.")
        return await forwarding.to(node, request, operator)

    return blueprint


class ForwardedRequests:
    """Serves what other servers forward, by the application that serves ``/admin`` here.

    :param app: called with a scope that says who has sent the request.
    """

    def __init__(self, app: ASGIFramework) -> None:
        self._app = app

    async def serve(self, stored: bytes) -> bytes:
        """Return the response to a request; never raises."""
        try:
            message = request_from(stored)
        except UnreadableRequest as error:
            _log.warning("a request of another server cannot be read", reason=str(error))
            return encoded(refusal(Code.VALIDATION_FAILED, "The server cannot read the request."))
        ends_session = (message.method, message.path) == ("DELETE", SESSION_PATH)
        if kind_of(message.path) not in OF_ONE_SERVER and not ends_session:
            return encoded(refusal(Code.NOT_FOUND, "There is nothing at this address."))
        return encoded(await self._call(message))

    async def _call(self, message: ForwardedRequest) -> ForwardedResponse:
        body, status = bytearray(), 500
        retry_after: str | None = None
        sent = False

        async def receive() -> Any:
            nonlocal sent
            if sent:
                await trio.sleep_forever()  # the client stays until it has the response
            sent = True
            return {"type": "http.request", "body": message.body, "more_body": False}

        async def send(event: Mapping[str, Any]) -> None:
            nonlocal status, retry_after
            await trio.lowlevel.checkpoint()
            if event["type"] == "http.response.start":
                status = event["status"]
                for name, value in event["headers"]:
                    if name.lower() == b"retry-after":
                        retry_after = value.decode("latin-1")
            elif event["type"] == "http.response.body":
                body.extend(event.get("body", b""))

        await self._app(_scope_of(message), receive, send)  # type: ignore[arg-type]
        return ForwardedResponse(status=status, body=bytes(body), retry_after=retry_after)


def refusal(code: Code, text: str) -> ForwardedResponse:
    """Return a response with an error."""
    failure = Failure.because(code, text)
    return ForwardedResponse(status=failure_response(failure).status_code, body=http_error(failure))


async def _require(asked: Request, identity: AdminIdentity) -> Operator:
    """Return who has sent a request, if they are an operator, as the other server requires it.

    :raises AuthError: they are none.
    """
    segments = asked.path.split("/")
    if kind_of(asked.path) == "rooms" and len(segments) > 3:
        return await identity.require_in(asked, segments[3])
    return identity.require(asked)


async def _forwarded(
    asked: Request, operator: Operator, arguments: Mapping[str, list[str]], *, part: bool
) -> ForwardedRequest:
    """Return a request of an operator, to be sent to another server.

    :raises InvalidPayload: it is none that can be.
    """
    message = ForwardedRequest(
        method=_METHODS.get(asked.method, "GET"),
        path=asked.path,
        query=urlencode(arguments, doseq=True).encode(),
        body=await asked.get_data(cache=True, as_text=False, parse_form_data=False),
        user=operator.user,
        session=operator.session,
        address=address_of(asked),
        part=part,
    )
    try:
        request_from(encoded(message))
    except UnreadableRequest:
        raise InvalidPayload("", "The request is too large for another server.") from None
    return message


def _scope_of(message: ForwardedRequest) -> dict[str, Any]:
    operator = Operator(message.user, message.session, forwarded=True, recorded=message.part)
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": message.method,
        "scheme": "http",
        "path": message.path,
        "raw_path": message.path.encode(),
        "query_string": message.query,
        "root_path": "",
        "headers": [
            (b"host", b"localhost"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(message.body)).encode()),
        ],
        "client": None if message.address is None else (message.address, 0),
        "server": None,
        "extensions": {},
        FORWARDED: operator,
    }


def kind_of(path: str) -> str:
    """Return the first segment below ``/admin``."""
    return path.removeprefix(f"{ADMIN_PATH}/").partition("/")[0]


def _failure(error: NodeNotAnswering | TooManyRequests) -> Failure:
    if isinstance(error, TooManyRequests):
        whose = "of yours " if error.own else ""
        return Failure.because(
            Code.RATE_LIMITED,
            f"Too many requests {whose}wait for server {error.node}; nothing was done.",
        )
    if error.begun:
        return Failure.because(
            Code.OUTCOME_UNKNOWN,
            f"Server {error.node} has not answered in time; it may still be done.",
        )
    return Failure.because(
        Code.STORE_UNAVAILABLE, f"Server {error.node} does not answer; nothing was done."
    )
