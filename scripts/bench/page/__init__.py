"""The line-up page in Chromium: ``python -m scripts.bench.page --help``.

The browser, the server and who edits are on one machine: the network takes no time.

``lineup``   the page: loads, edits, frames while somebody scrolls
``traffic``  its bytes per minute, beside those of a page that polls
``grid``     the grid alone, without a server
``window``   a window with the page, its measuring script, and others who edit
``figures``  the table, and JSON
"""
