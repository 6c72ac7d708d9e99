"""What the fields of messages may hold: what comes from the bus may be anything."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

MAX_SHORT: Final = 64
"""Characters of a name, an identity and the like."""

Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Short = Annotated[str, Meta(max_length=MAX_SHORT)]
