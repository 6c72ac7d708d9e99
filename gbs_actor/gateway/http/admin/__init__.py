"""What operators see, below ``/admin``.

- ``identity``: who may; ``session``: a browser's session in place of a token.
- ``sessions``: clients that are connected, and those that have ended; ``session_query``: which of
  them a request asks for; ``traces``: their events.
- ``rooms``: the room actors; ``room_query``: which of them a request asks for, in which order.
- ``nodes``: all servers on the store; ``forwarding``: requests that another one serves.
- ``events``: what happens; ``event_query``: which of it; ``event_stream``: as it happens.
- ``dashboard``: the page over all of this; ``overview``: what it asks for most often;
  ``shared``: so that many watchers cost no more than one.
- ``system``: the whole server; ``limits``: how near its limits are;
  ``task_tree``: its tasks, and where each waits.
- ``actions``: on rooms, clients, the server; ``diagnostics``: log levels, profiles.
- ``acting``: what all actions have in common.
- ``audit``: who did what, and looked at what.
"""

from gbs_actor.gateway.http.admin.actions import admin_actions
from gbs_actor.gateway.http.admin.audit import Audit, admin_audit
from gbs_actor.gateway.http.admin.dashboard import admin_dashboard
from gbs_actor.gateway.http.admin.diagnostics import admin_diagnostics
from gbs_actor.gateway.http.admin.events import admin_events
from gbs_actor.gateway.http.admin.forwarding import (
    ForwardedRequests,
    Forwarding,
    admin_forwarding,
    refusal,
)
from gbs_actor.gateway.http.admin.identity import AdminIdentity
from gbs_actor.gateway.http.admin.limits import LimitUse, limit_uses
from gbs_actor.gateway.http.admin.nodes import admin_nodes
from gbs_actor.gateway.http.admin.overview import admin_overview
from gbs_actor.gateway.http.admin.rooms import admin_rooms
from gbs_actor.gateway.http.admin.session import admin_session
from gbs_actor.gateway.http.admin.sessions import admin_sessions
from gbs_actor.gateway.http.admin.system import admin_system
from gbs_actor.gateway.http.admin.traces import admin_traces

__all__ = [
    "AdminIdentity",
    "Audit",
    "ForwardedRequests",
    "Forwarding",
    "LimitUse",
    "admin_actions",
    "admin_audit",
    "admin_dashboard",
    "admin_diagnostics",
    "admin_events",
    "admin_forwarding",
    "admin_nodes",
    "admin_overview",
    "admin_rooms",
    "admin_session",
    "admin_sessions",
    "admin_system",
    "admin_traces",
    "limit_uses",
    "refusal",
]
