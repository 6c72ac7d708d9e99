"""What operators see, below ``/admin``.

- ``rooms``: the routes of the room actors; they read ``statistics()`` and change nothing.
- ``room_query``: which rooms a request asks for, and in which order.
"""

from gbs_actor.gateway.http.admin.rooms import admin_rooms

__all__ = ["admin_rooms"]
