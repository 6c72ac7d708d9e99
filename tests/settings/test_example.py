"""The example file documents every setting, and is in line with the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from gbs_actor.settings import Settings, declarations, example

FILE = Path(__file__).parents[2] / "config" / "gbs_actor.toml"

UNSET = {name for _, name, info in declarations() if info.default is None}
PER_USER = {"data_dir"}


def uncommented() -> str:
    """The example with every default switched on."""
    return re.sub(r"(?m)^#(?! |$)|^#(?=    \")|^#(?=\])", "", example())


def test_the_file_in_the_repository_is_what_the_settings_say() -> None:
    assert FILE.read_text(encoding="utf-8") == example()


def test_as_it_is_it_changes_nothing(tmp_path: Path) -> None:
    settings = Settings.load(FILE, environment={})
    assert settings.model_dump() == Settings().model_dump()
    assert {setting.source for setting in settings.effective()} == {"default"}


def test_every_setting_stands_in_it() -> None:
    written = tomllib.loads(uncommented())
    expected = {(group, name) for group, name, _ in declarations()}
    assert {(group, name) for group in written for name in written[group]} == expected


def test_what_it_shows_as_default_is_the_default(tmp_path: Path) -> None:
    file = tmp_path / "all.toml"
    text = "\n".join(
        line
        for line in uncommented().splitlines()
        if line.partition(" = ")[0] not in UNSET | PER_USER
    )
    file.write_text(text, encoding="utf-8")
    assert Settings.load(file, environment={}).model_dump() == Settings().model_dump()


def test_its_examples_for_what_has_no_default_are_valid(tmp_path: Path) -> None:
    file = tmp_path / "all.toml"
    file.write_text(uncommented(), encoding="utf-8")
    assert Settings.load(file, environment={}).auth.has_key
