"""The process in which atheris (libFuzzer) runs one target: ``python -m scripts.fuzz.guided``.

It sees which code each case reaches, and varies those that reach something new.
"""

from __future__ import annotations

import gc
import sys
from typing import Final

import atheris

_INSTRUMENTED: Final = ["gbs_actor", "websockets"]


def main() -> None:
    """Fuzz until libFuzzer has had enough; does not return.

    The first argument is the target's name, the others are libFuzzer's.
    """
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=_INSTRUMENTED):
        from scripts.fuzz.target import load  # noqa: PLC0415  (it has to be watched)

        target = load(name)
    gc.collect()
    gc.freeze()
    atheris.Setup(sys.argv, target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
