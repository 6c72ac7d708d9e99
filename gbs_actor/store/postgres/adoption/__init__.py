"""Adopts a database that other programs have made: adds what servers need, changes nothing else.

The schema is what the migrations make of an empty schema of their own, which is rolled back at
once. What the database lacks of it is a plan; or nothing can be added until somebody has corrected
what does not fit::

    adopting     the transaction: plan, add, record the migrations as applied
      |-- comparison  what is missing, with its statement; what is in the way
      |     |-- needs      what the schema does not say of other programs' tables
      |     `-- creating   statements that create
      `-- catalog     what a schema has
"""

from gbs_actor.store.postgres.adoption.adopting import adopt
from gbs_actor.store.postgres.adoption.comparison import Plan, Step

__all__ = ["Plan", "Step", "adopt"]
