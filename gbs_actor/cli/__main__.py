"""``python -m gbs_actor.cli``: the same as ``gbs-actor``."""

from gbs_actor.cli import main

main()
