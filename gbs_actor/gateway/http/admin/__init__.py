"""What operators see, below ``/admin``.

- ``identity``: who may; ``session``: a browser's session in place of a token.
- ``rooms``: the room actors; ``room_query``: which of them a request asks for, in which order.
- ``dashboard``: the page over all of this; ``overview``: what it asks for most often;
  ``shared``: so that many watchers cost no more than one.
- ``system``: the whole server; ``system_parts``: what it is read from, and the limits;
  ``task_tree``: its tasks, and where each waits.
"""

from gbs_actor.gateway.http.admin.dashboard import admin_dashboard
from gbs_actor.gateway.http.admin.identity import AdminIdentity
from gbs_actor.gateway.http.admin.overview import admin_overview
from gbs_actor.gateway.http.admin.rooms import admin_rooms
from gbs_actor.gateway.http.admin.session import admin_session
from gbs_actor.gateway.http.admin.system import admin_system
from gbs_actor.gateway.http.admin.system_parts import LimitUse, SystemParts, limit_uses

__all__ = [
    "AdminIdentity",
    "LimitUse",
    "SystemParts",
    "admin_dashboard",
    "admin_overview",
    "admin_rooms",
    "admin_session",
    "admin_system",
    "limit_uses",
]
