"""A whole retreat as it is put into a store."""
