"""The line-up as a sheet: exports, and imports in two steps.

- ``importer``: exports, compares a file with the line-up, and applies what it would change.
- ``exported``: what a row of an earlier export was like, and whether the author knows what has
  become of it since.
- ``assignments``: the edited cells as one command.
- ``pending``: the imports that wait to be applied.
"""

from gbs_actor.gateway.imports.importer import Importer, Refused
from gbs_actor.gateway.imports.pending import PendingImport

__all__ = ["Importer", "PendingImport", "Refused"]
