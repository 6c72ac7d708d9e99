"""The bus of a server among several, and the lock on its name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from gbs_actor.server import database
from gbs_actor.server.database import bus_between_nodes
from gbs_actor.settings import Settings, StoreSettings


def test_it_sends_unless_another_process_has_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: dict[str, Any] = {}
    monkeypatch.setattr(database, "open_bus", lambda _, **arguments: opened.update(arguments))
    store: Any = SimpleNamespace(identity="test", name_taken=False)
    url = SecretStr("postgresql://localhost/db")
    bus_between_nodes(Settings(store=StoreSettings(node="a", database_url=url)), store)
    assert (opened["node"], opened["database"]) == ("a", "test")
    assert opened["may_send"]()
    store.name_taken = True
    assert not opened["may_send"]()
