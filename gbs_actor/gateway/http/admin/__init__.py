"""What operators see, below ``/admin``.

- ``identity``: who may; ``session``: a browser's session in place of a token.
- ``rooms``: the room actors; ``room_query``: which of them a request asks for, in which order.
- ``system``: the whole server; ``task_tree``: its tasks, and where each waits.
- ``actions``: on rooms, clients, the server; ``diagnostics``: log levels, profiles.
- ``acting``: what all actions have in common.
- ``audit``: who did what, and looked at what.
"""

from gbs_actor.gateway.http.admin.actions import ActionParts, admin_actions
from gbs_actor.gateway.http.admin.audit import Audit, admin_audit
from gbs_actor.gateway.http.admin.diagnostics import admin_diagnostics
from gbs_actor.gateway.http.admin.identity import AdminIdentity
from gbs_actor.gateway.http.admin.rooms import admin_rooms
from gbs_actor.gateway.http.admin.session import admin_session
from gbs_actor.gateway.http.admin.system import SystemParts, admin_system

__all__ = [
    "ActionParts",
    "AdminIdentity",
    "Audit",
    "SystemParts",
    "admin_actions",
    "admin_audit",
    "admin_diagnostics",
    "admin_rooms",
    "admin_session",
    "admin_system",
]
