"""Lets ``python -m gbs_actor.cli`` do what ``gbs-actor`` does."""

from gbs_actor.cli import main

main()
