"""Simulations: plans drawn from a seed, played under a clock that jumps, recorded, checked.

``plan`` is what is to happen, as data; ``rooms`` plays it on rooms, ``server`` on the whole server,
``nodes`` on the rooms of several nodes over one store, with a bus. ``history`` is what happened,
``checker`` judges it, ``trace`` has its hash, and ``lines`` how it reads. ``scenario`` plays what
somebody else has written, ``recording`` its peers. ``examining`` and ``workers`` make many runs,
``shrink`` makes a failing plan small. On the command line::

    gbs-actor simulate --seeds 0:10000 --jobs 2 --layer server --check-hashes 5
    gbs-actor simulate --seed 4711 --layer server --trace
    gbs-actor simulate --seeds 0:1000 --jobs 2 --layer nodes --profile nodes
    gbs-actor simulate --seeds 0:200 --clients 20 --steps 5000      # a million steps

A run is kept and checked as a whole: memory and time grow with its steps, with 20 clients by 2 ms
and 4 KB a step on rooms, and about seven times as much time on the whole server. So a million of
them are runs of some thousand, each with its own server and store.

**What it cannot find**, as none of it is there:

- SQL, migrations, asyncpg and PostgreSQL: locks, plans, types, isolation, a full disk. The store is
  one in memory that fails as the real one is known to. ``tests/store`` has the real one.
- The kernel: descriptors that run out, buffers, TCP's own timeouts, signals. ``tests/faults`` and
  ``tests/e2e`` run processes.
- TLS, compression, proxies, stock clients and browsers: ``tests/e2e``, ``tests/proxy``. The peers
  share no code with the server, but one author's reading of the protocols.
- A process that stands still while its clock goes on: a frozen node gets no answers, but its
  timers go off. Nor are there sessions or rights that several nodes share.
- How long work takes: in virtual time a loop that blocks, a slow encoder or a starved process takes
  none. ``scripts/bench`` measures.
- Threads, and other processes: the spreadsheets' reader, the embedded PostgreSQL.
- What the model of the checker has wrong in the same way as the server, and what no plan draws:
  ``--counters`` shows what was reached.
"""

from gbs_actor.testing.simulation.history import History
from gbs_actor.testing.simulation.plan import PROFILES, Plan, draw
from gbs_actor.testing.simulation.scenario import RuleBroken
from gbs_actor.testing.simulation.simulate import simulate
from gbs_actor.testing.simulation.trace import PlanTrace, Trace

__all__ = ["PROFILES", "History", "Plan", "PlanTrace", "RuleBroken", "Trace", "draw", "simulate"]
