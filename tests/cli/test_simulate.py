"""``gbs-actor simulate``: runs of seeds, and what is reported if one breaks a rule."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gbs_actor.testing.simulation import Plan, draw, simulate
from gbs_actor.testing.simulation.checker import check
from gbs_actor.testing.simulation.plan import Participant, steps
from tests.cli.conftest import Command
from tests.cli.demo_process import CLI, environment
from tests.cli.pty_process import on_terminal

PLANTED = """
import os, sys
from importlib import import_module, machinery

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name != "gbs_actor.lineup.rows_since":
            return None
"""
SITE = '''
"""Breaks the server in every process that has this folder in its path."""

import os
import sys


class Planting:
    """Changes a module once it is there."""

    def find_spec(self, name, path, target=None):
        if name != "gbs_actor.testing.simulation.simulate":
            return None
        sys.meta_path.remove(self)
        from gbs_actor.rooms.snapshots import X
'''
