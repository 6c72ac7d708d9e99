"""Plain HTTP: reads and writes of the line-up, probes, the operators' pages, OpenAPI."""

from gbs_actor.gateway.http.app import Services, create_app
from gbs_actor.gateway.http.cors import cors_policy
from gbs_actor.gateway.http.middleware import with_callers

__all__ = ["Services", "cors_policy", "create_app", "with_callers"]
