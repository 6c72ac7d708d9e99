"""``/metrics``: what the parts count, as Prometheus reads it.

``snapshot`` is taken by the event loop, ``families`` names what is in it, ``scrape`` renders that
in a thread. Nothing is counted here: the parts do that, for operators' other views, too.
"""

from gbs_actor.gateway.http.metrics.routes import metrics

__all__ = ["metrics"]
