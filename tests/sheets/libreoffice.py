"""LibreOffice without a screen: opens a sheet, edits it as people do, and saves it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

FILTERS: Final = {
    ".xlsx": "Calc MS Excel 2007 XML",
    ".xls": "MS Excel 97",
    ".ods": "calc8",
    ".csv": "Text - txt - csv (StarCalc)",
}
_LIBRARIES: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<!DOCTYPE library:libraries PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" '
    '"libraries.dtd">\n'
    '<library:libraries xmlns:library="http://openoffice.org/2000/library" '
    'xmlns:xlink="http://www.w3.org/1999/xlink">\n'
    '<library:library library:name="Standard" library:link="false"/>\n'
    "</library:libraries>"
)
_LIBRARY: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<!DOCTYPE library:library PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" '
    '"library.dtd">\n'
    '<library:library xmlns:library="http://openoffice.org/2000/library" library:name="Standard" '
    'library:readonly="false" library:passwordprotected="false">\n'
    '<library:element library:name="Edits"/>\n'
    "</library:library>"
)
_MODULE: Final = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE script:module PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" "module.dtd">
<script:module xmlns:script="http://openoffice.org/2000/script" script:name="Edits"
    script:language="StarBasic"><![CDATA[
{code}
]]></script:module>"""
_MACRO: Final = """
Sub Run
    On Error GoTo Failed
    hidden = Array(Named("Hidden", True))
    document = StarDesktop.loadComponentFromURL("{source}", "_blank", 0, hidden)
    sheet = document.Sheets.getByIndex(0)
    {edits}
    document.storeToURL("{target}", Array(Named("FilterName", "{filter}"){options}))
    document.close(True)
    StarDesktop.terminate()
    Exit Sub
Failed:
    Open "{log}" For Output As #1
    Print #1, Error$ & " in line " & Erl
    Close #1
    StarDesktop.terminate()
End Sub

Function Named(name, value)
    Dim property As New com.sun.star.beans.PropertyValue
    property.Name = name
    property.Value = value
    Named = property
End Function

Function Encryption(password)
    Dim values(1) As New com.sun.star.beans.NamedValue
    values(0).Name = "CryptoType"
    values(0).Value = "Standard"
    values(1).Name = "OOXPassword"
    values(1).Value = password
    Encryption = values()
End Function

Sub Put(sheet, cell, value)
    If VarType(value) = 8 Then
        sheet.getCellRangeByName(cell).String = value
    Else
        sheet.getCellRangeByName(cell).Value = value
    End If
End Sub

Sub Formula(sheet, cell, text)
    sheet.getCellRangeByName(cell).Formula = text
End Sub

Sub Sort(sheet, range, column, ascending)
    Dim field As New com.sun.star.table.TableSortField
    field.Field = column
    field.IsAscending = ascending
    sheet.getCellRangeByName(range).sort( _
        Array(Named("SortFields", Array(field)), Named("ContainsHeader", True)))
End Sub

Sub Filter(sheet, range, column, text)
    Dim field As New com.sun.star.sheet.TableFilterField
    field.Field = column
    field.IsNumeric = False
    field.Operator = com.sun.star.sheet.FilterOperator.EQUAL
    field.StringValue = text
    filtered = sheet.getCellRangeByName(range)
    descriptor = filtered.createFilterDescriptor(True)
    descriptor.ContainsHeader = True
    descriptor.setFilterFields(Array(field))
    filtered.filter(descriptor)
End Sub
"""


class LibreOffice:
    """A LibreOffice with a profile of its own."""

    def __init__(self, program: str, folder: Path) -> None:
        self._folder = folder
        profile = folder / "profile"
        self._command = (program, f"-env:UserInstallation={profile.as_uri()}", "--headless")
        # The first start makes the profile, and would remove our macros.
        self._run("--terminate_after_init")
        self._library = profile / "user" / "basic" / "Standard"
        self._library.mkdir(parents=True, exist_ok=True)
        (self._library.parent / "script.xlc").write_text(_LIBRARIES)
        (self._library / "script.xlb").write_text(_LIBRARY)

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command, *arguments], capture_output=True, text=True, timeout=120, check=False
        )

    def edit(self, data: bytes, edits: str = "", *, to: str = ".xlsx", password: str = "") -> bytes:
        """Return a sheet after statements of Basic, in which ``sheet`` is the first one.

        :param to: the format that it is saved in, as the suffix of its name.
        :param password: it is encrypted with; "": it is not.
        """
        source, target = self._folder / "source.xlsx", self._folder / f"target{to}"
        log = self._folder / "log"
        source.write_bytes(data)
        target.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
        options = ""
        if password and to == ".xlsx":
            options = f', Named("EncryptionData", Encryption("{password}"))'
        elif password:
            options = f', Named("Password", "{password}")'
        if to == ".csv":
            options = ', Named("FilterOptions", "44,34,76,1")'  # comma, quote, UTF-8
        code = _MACRO.format(
            source=source.as_uri(),
            target=target.as_uri(),
            log=log,
            filter=FILTERS[to],
            options=options,
            edits=edits,
        )
        (self._library / "Edits.xba").write_text(_MODULE.format(code=code))
        result = self._run("macro:///Standard.Edits.Run")
        assert target.exists(), (log.read_text() if log.exists() else "", result)
        return target.read_bytes()
