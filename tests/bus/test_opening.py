"""Which bus the settings ask for, and what it costs who asks for none."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import SecretStr

from gbs_actor.bus import Bus
from gbs_actor.bus.opening import open_bus
from gbs_actor.settings import BusSettings, SettingsError


def opened(settings: BusSettings) -> Bus:
    return open_bus(settings, node="a", dsn="postgresql://localhost/db", database="db")


def test_by_default_it_is_postgresql() -> None:
    assert opened(BusSettings()).statistics().kind == "postgres"


def test_with_a_url_it_is_valkey() -> None:
    settings = BusSettings(bus_url=SecretStr("redis://localhost"))
    assert opened(settings).statistics().kind == "valkey"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == "coredis" or name == "gbs_actor.bus.valkey":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [NoCoredis(), *sys.meta_path])
    with pytest.raises(SettingsError, match=r"GBS_BUS_URL: .*coredis.*gbs-actor\[valkey\]"):
        opened(BusSettings(bus_url=SecretStr("redis://localhost")))


class NoCoredis:
    """Finds no coredis, as where it is not installed."""

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        if name.partition(".")[0] == "coredis":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_coredis_is_imported_by_who_needs_it_alone() -> None:
    code = "import sys, gbs_actor.bus; sys.exit('coredis' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
