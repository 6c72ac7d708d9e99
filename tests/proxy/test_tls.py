"""The stock client through an nginx that ends TLS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.certificates import Authority, IssuedCertificate
from tests.e2e.server_process import running_server
from tests.e2e.test_tls import (
    Secured,
    test_the_stock_client_gets_through_tls_by_every_transport,
)
from tests.proxy.nginx import running_nginx

__all__ = ["test_the_stock_client_gets_through_tls_by_every_transport"]


@pytest.fixture(scope="module")
def secured(
    authority: Authority, certificate: IssuedCertificate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    """A demo server whose clients come through nginx, and who has signed its certificate."""
    known = tmp_path_factory.mktemp("authority") / "authority.pem"
    known.write_text(authority.pem)
    environment = {"GBS_TRUSTED_PROXIES": "127.0.0.1"}
    with (
        running_server(environment=environment) as server,
        running_nginx(server.port, certificate=certificate) as nginx,
    ):
        server.scheme, server.port = "https", nginx.tls_port
        yield Secured(server, known)
