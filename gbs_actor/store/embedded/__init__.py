"""An embedded PostgreSQL: a child process, with nothing to install.

``server``        starts, restarts and stops it
``child``         the process, and its log
``postmaster``    finds and stops the processes of a data directory
``data_folder``   files, permissions and the lock
``os_account``    the account that PostgreSQL runs as
``binaries``      the programs, from a wheel
"""
