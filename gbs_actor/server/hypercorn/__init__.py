"""Hypercorn: all contact with its inner classes, and what bounds them.

It serves HTTP/1.1 with keep-alive, HTTP/2 and the WebSockets that come over either, whether
on streams of our own listener or where it hosts the app itself.
"""

from gbs_actor.server.hypercorn.limits import limit_hypercorn
from gbs_actor.server.hypercorn.server import HttpServer, HttpStatistics
from gbs_actor.server.hypercorn.worker import prepare_worker

__all__ = ["HttpServer", "HttpStatistics", "limit_hypercorn", "prepare_worker"]
