"""A request that goes no further, and what it is answered."""

from __future__ import annotations

import msgspec


class RequestRefused(Exception):
    """Why a request goes no further.

    :param status: HTTP status.
    :param error: becomes the JSON body of the answer.
    :param headers: further fields of the answer.
    """

    def __init__(
        self, status: int, error: msgspec.Struct, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(status, error)
        self.status = status
        self.error = error
        self.headers = headers
