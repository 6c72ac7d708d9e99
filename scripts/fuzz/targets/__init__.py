"""One module per target, named like it."""
