"""Host and port, as ``Host`` and an origin have them (RFC 3986 §3.2)."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final

# Names as DNS has them, and with the characters that are common besides. A longer label is no
# name: it cannot be looked up.
_LABEL: Final = r"[A-Za-z0-9_~-]{1,63}"
_HOST: Final = re.compile(
    rf"(?:\[(?P<ipv6>[0-9A-Fa-f:.]{{2,45}})\]|{_LABEL}(?:\.{_LABEL})*\.?)(?::(?P<port>[0-9]{{0,5}}))?"
)
_MAX_LENGTH: Final = 260
_MAX_PORT: Final = 65_535


@lru_cache(maxsize=1_024)
def parse_host(text: str) -> tuple[str, int | None] | None:
    """Return a host in its normal form, and its port; ``None`` if it is none.

    :returns: the name in lower case, or the IPv6 address in brackets; the port is ``None``
        if there is none.
    """
    found = _HOST.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if found is None:
        return None
    port = int(found["port"]) if found["port"] else None
    if port is not None and port > _MAX_PORT:
        return None
    address = found["ipv6"]
    if address is None:
        return text.partition(":")[0].lower(), port
    try:
        return f"[{IPv6Address(address)}]", port
    except ValueError:
        return None
