"""A PostgreSQL of the server's own: a child process, with nothing to install."""
