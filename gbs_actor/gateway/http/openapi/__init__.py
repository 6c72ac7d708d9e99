"""Describes the API in OpenAPI 3.1, from the types that it decodes and encodes."""

from gbs_actor.gateway.http.openapi.document import describe

__all__ = ["describe"]
