"""Retreats in PostgreSQL."""
