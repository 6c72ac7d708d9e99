"""The examples for several servers fit each other; clusters of tests run by them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from tests.bus.servers import VALKEY_CONFIG
from tests.cluster.cluster import node_file
from tests.proxy.nginx import NODES_CONFIG


def test_a_server_is_where_nginx_looks_for_it() -> None:
    node = node_file()
    upstreams = rf"upstream gbs_\w+_{node['GBS_NODE']} {{\s+server (\S+)"
    assert set(re.findall(upstreams, NODES_CONFIG.read_text())) == {
        f"{node['GBS_HOST']}:{node['GBS_PORT']}"
    }


def test_the_bus_is_where_the_server_looks_for_it() -> None:
    url = urlsplit(node_file()["GBS_BUS_URL"])
    options = dict(re.findall(r"^(bind|port) (\S+)$", VALKEY_CONFIG.read_text(), re.MULTILINE))
    assert (url.hostname, str(url.port)) == (options["bind"], options["port"])
