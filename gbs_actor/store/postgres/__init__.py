"""Retreats in PostgreSQL; :mod:`gbs_actor.store` draws the modules and a commit."""
