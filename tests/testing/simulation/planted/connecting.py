"""Bugs in how clients are admitted, limited and disconnected: in front of the rooms."""

from __future__ import annotations

from functools import partial
from typing import Final

from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.event_rates import EventRates
from gbs_actor.gateway.expiry import ExpiryWatch
from gbs_actor.gateway.http.metrics import families as metrics
from gbs_actor.gateway.invocation import Invocation
from gbs_actor.gateway.namespace.recovery import LineupRecovery
from gbs_actor.gateway.plain.channel import PlainChannel
from gbs_actor.server.composition import Composition
from tests.testing.simulation.planted.bug import bug

_bug: Final = partial(bug, layer="server")

CONNECTING: Final = (
    _bug(
        "an expired token ends a connection with the code of a revoked grant",
        "rights",
        (
            PlainChannel.close_expired,
            "close_frame.EXPIRED.code",
            "close_frame.REVOKED.code",
        ),
    ),
    _bug(
        "a client whose token expires has no time to renew it",
        "rights",
        (ExpiryWatch._act, "now >= reads_until", "now >= reads_until - 60.0"),
    ),
    _bug(
        "a token that was renewed is not watched",
        "rights",
        (Clients.renew, "self._watch.watch(client)", "pass"),
    ),
    _bug(
        "a client stays in a room that it may not read any more",
        "rights",
        (Clients.set_role, "self._revoke(client)", "pass"),
    ),
    _bug(
        "a client that is kicked stays connected",
        "rights",
        (Clients._disconnect_for_good, "client.peer.close_forbidden()", "pass"),
    ),
    _bug(
        "a session that was ended for good is resumed",
        "rights",
        (LineupRecovery.end_session, "session.end()", "pass"),
    ),
    _bug(
        "a client that has gone stays in its room",
        "calm",
        (Clients.disconnected, "self._rooms.disconnect(client.subscriber)", "pass"),
    ),
    _bug(
        "a user has more connections than they may",
        "limits",
        (Clients.connect, "if not self._connection_limit.take(user_id):", "if False:"),
        (Clients.disconnected, "self._connection_limit.leave(client.user.user_id)", "pass"),
    ),
    _bug(
        "an event that exceeds a rate is not answered",
        "limits",
        (EventRates.refuse, "invocation.reply(refusal)", "pass"),
    ),
    _bug(
        "errors that are answered are not counted",
        "calm",
        (
            Invocation._count_failed,
            "self._errors[failure.code] += 1",
            "self._errors[failure.code] += not self.wants_reply",
        ),
    ),
    _bug(
        "the metric of joins has the value of another one",
        "calm",
        (metrics._events, '"Joins that succeeded.", events.joins', '"", events.events'),
    ),
    _bug(
        "a shutdown ends connections as a restart of a room does",
        "stops",
        (Composition.drain, "CloseCode.GOING_AWAY", "1012"),
    ),
)
