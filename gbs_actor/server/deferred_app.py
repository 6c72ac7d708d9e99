"""An ASGI application that is made when it is needed."""

from __future__ import annotations

from collections.abc import Callable

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope


class DeferredApp:
    """The application that ``make`` returns, made at its first request or by :meth:`make`.

    The routes of a server take most of the time in which it is made, and not all servers are sent
    requests for them.
    """

    def __init__(self, make: Callable[[], ASGIFramework]) -> None:
        self._make = make
        self._made: ASGIFramework | None = None

    def make(self) -> ASGIFramework:
        """Return the application, made by now."""
        if self._made is None:
            self._made = self._make()
        return self._made

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Serve one request."""
        await self.make()(scope, receive, send)
