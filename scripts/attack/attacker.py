"""One attack, in a process of its own: ``python -m scripts.attack.attacker NAME --port N``."""

from __future__ import annotations

import argparse
import json
import resource

from scripts.attack.attacks import ATTACKS
from scripts.attack.swarm import Swarm


def main() -> None:
    """Attack a port of this machine for some seconds; print what happened as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("name", choices=list(ATTACKS))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--tokens", nargs=2, default=("", ""))
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    swarm = Swarm(ATTACKS[options.name].plan(options.tokens, options.scale), options.port)
    swarm.run(options.seconds)
    print(json.dumps(swarm.counts))


if __name__ == "__main__":
    main()
