"""Composition and lifetime of a whole server."""
