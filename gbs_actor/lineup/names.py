"""The name under which somebody's work is shown to others: never an e-mail address."""

from __future__ import annotations

import re
from typing import Final

from gbs_actor.lineup.text import is_blank, trimmed

_ADDRESS: Final = re.compile(r"[^\s@]@[^\s@]")


def shown_name(name: str, user_id: int, email: str = "") -> str:
    """Return a name that others may see, or ``사용자 <user_id>`` in place of one.

    Names that were stored earlier may be e-mail addresses: so whatever a client is shown has to go
    through here, not only what a token brings.

    :param name: from a token or from the store; "": there is none.
    :param email: the user's address, whatever it looks like; "": it is not known.
    """
    is_email = _ADDRESS.search(name) or trimmed(name).casefold() == trimmed(email).casefold()
    return f"사용자 {user_id}" if is_email or is_blank(name) else name
