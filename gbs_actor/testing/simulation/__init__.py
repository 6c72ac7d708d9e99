"""Simulations: plans drawn from a seed, played under a clock that jumps, recorded, checked.

``plan`` is what is to happen, as data; ``rooms`` plays it on rooms; ``history`` is what happened,
``trace`` that with its hash and how it reads; ``shrink`` makes a failing plan small.
"""

from gbs_actor.testing.simulation.history import History
from gbs_actor.testing.simulation.plan import PROFILES, Plan, draw
from gbs_actor.testing.simulation.simulate import simulate
from gbs_actor.testing.simulation.trace import Trace

__all__ = ["PROFILES", "History", "Plan", "Trace", "draw", "simulate"]
