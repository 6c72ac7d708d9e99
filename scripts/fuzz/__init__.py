"""Feeds the server's decoders, its sessions and its front door with what nobody means to send.

``python -m scripts.fuzz --help``. A case is a few bytes; what they stand for is each target's
own business (see :mod:`scripts.fuzz.choices`). So every case can be written to a file, run
again, made smaller, and varied by a fuzzer that watches which code it reaches.
"""
