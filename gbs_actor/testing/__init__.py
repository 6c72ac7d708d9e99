"""For tests of code that runs or uses a line-up server: without sockets, waiting and chance."""
