"""A whole retreat to import into a store: its ``seed``, and the ``layout`` of its rows."""
