"""The pictures of the README that are taken of the running thing."""
