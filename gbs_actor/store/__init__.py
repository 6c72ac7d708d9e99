"""Durable retreats: the store's protocol, PostgreSQL behind it, and one in memory."""
