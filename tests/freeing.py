"""Whether objects are freed by their last reference, without the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def freed(*kinds: type) -> Iterator[None]:
    """Fail if an object of these kinds that is made within the block is alive at its end."""
    gc.collect()
    before = _objects(kinds)  # of other tests; kept, so that none of them is replaced
    gc.disable()
    try:
        yield
        known = set(map(id, before))
        assert [repr(each) for each in _objects(kinds) if id(each) not in known] == []
    finally:
        gc.enable()


def _objects(kinds: tuple[type, ...]) -> list[object]:
    return [each for each in gc.get_objects() if isinstance(each, kinds)]
