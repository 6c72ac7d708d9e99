"""The HTTP side: probes, reads over HTTP, the operators' view."""

from gbs_actor.gateway.http.app import create_app
from gbs_actor.gateway.http.callers import with_callers
from gbs_actor.gateway.http.cors import cors_policy
from gbs_actor.gateway.http.services import Services

__all__ = ["Services", "cors_policy", "create_app", "with_callers"]
