"""Runs of rooms and of the whole server from a seed, and the check of what they did."""
