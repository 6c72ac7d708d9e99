"""A realtime collaboration server on Trio for a retreat's GBS line-up page."""

__version__ = "0.1.0"
