"""``gbs-actor top``: what the server and its rooms do, live in a terminal.

- ``command``: the options. ``watch``: one snapshot after the other.
- ``snapshot``: what is asked of the server, and the rates between two snapshots.
- ``screen``: a snapshot as tables. ``live_screen``: keeps it on a terminal.
- ``view``: what is shown, and how keys change it. ``keyboard``: single keys of a terminal.
"""

from gbs_actor.cli.top.command import top

__all__ = ["top"]
