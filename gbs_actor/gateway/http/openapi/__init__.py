"""The API described in OpenAPI 3.1, from the types that it is written with."""

from gbs_actor.gateway.http.openapi.document import describe

__all__ = ["describe"]
