"""The pages of the server's own: their static files, and how these are served.

- ``assets``: reads the files once, compresses them, names them by their hash.
- ``static/vendor``: libraries from npm, unchanged; see ``VENDORED.md`` there.
- ``static/shared``: what every page uses: styles, requests, polling, tables, charts.
- ``static/admin``: the dashboard for operators; ``static/lineup``: the line-up page.
- ``client``: the client core, a package of npm's kind that other pages can install.

There is no build step: browsers load the modules as they are here. A new page is a folder beside
``admin``, and a call of :func:`page_of`.
"""

from gbs_actor.web.assets import Asset, Assets, page_of

__all__ = ["Asset", "Assets", "page_of"]
