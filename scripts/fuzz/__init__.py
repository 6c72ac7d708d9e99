"""Looks for inputs that the server mishandles: ``python -m scripts.fuzz --help``.

A *target* is one part of the server, generators of good and nearly good input for it, and an
*oracle*: what must hold whatever the input is. Hypothesis makes the cases, shrinks those that
fail, and keeps them for replay.
"""
