"""Plans: simulations as data, drawn from a seed.

``steps`` has what can happen, ``plan`` the whole, ``profiles`` how often what is drawn,
``drawing`` and ``commands`` draw it. Nothing here knows how it is played.
"""

from gbs_actor.testing.simulation.plan.drawing import draw
from gbs_actor.testing.simulation.plan.plan import SLUGS, Participant, Plan, Transport
from gbs_actor.testing.simulation.plan.profiles import PROFILES, Profile
from gbs_actor.testing.simulation.plan.steps import Step

__all__ = ["PROFILES", "SLUGS", "Participant", "Plan", "Profile", "Step", "Transport", "draw"]
