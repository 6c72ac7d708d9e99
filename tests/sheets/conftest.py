from __future__ import annotations

import shutil

import pytest

from tests.sheets.libreoffice import LibreOffice


@pytest.fixture(scope="session")
def libreoffice(tmp_path_factory: pytest.TempPathFactory) -> LibreOffice:
    program = shutil.which("soffice")
    if program is None:
        pytest.skip("LibreOffice is not installed (Debian's package libreoffice-calc-nogui)")
    return LibreOffice(program, tmp_path_factory.mktemp("libreoffice"))
