"""Attacks on a server with default settings, while honest people work with it.

``attacks`` says what each attack sends, ``swarm`` sends it: raw sockets on one ``epoll``, in a
process of its own (``python -m scripts.attack.attacker``). ``clients`` and ``honest`` are the
people, ``running`` one attack from start to figures, ``figures`` what is measured and wanted.

Bounded in time and connections, and never aimed at anything but a server that it has started
on the loopback interface, whose addresses (127.0.0.0/8) stand for places in the network.
"""
