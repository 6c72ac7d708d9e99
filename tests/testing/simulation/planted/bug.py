"""A bug of production code that is there for a while: a few words of a function, replaced."""

from __future__ import annotations
import __future__

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType

from gbs_actor.testing.simulation.simulate import Layer


@dataclass(frozen=True, slots=True)
class Edit:
    """Replaces texts in the source of a function, wherever the function is known."""

    function: Callable[..., object]
    texts: tuple[tuple[str, str], ...]
    """The old one, which occurs just once, and the new one, of each."""

    @contextmanager
    def made(self) -> Iterator[None]:
        """Let the function be the other one within the block.

        :raises LookupError: an old text does not occur, or several times.
        """
        function = inspect.unwrap(getattr(self.function, "__func__", self.function))
        assert isinstance(function, FunctionType)
        code, function.__code__ = function.__code__, self._compiled(function)
        try:
            yield
        finally:
            function.__code__ = code

    def _compiled(self, function: FunctionType) -> CodeType:
        source = textwrap.dedent(inspect.getsource(function))
        for old, new in self.texts:
            if source.count(old) != 1:
                raise LookupError(f"{old!r} is not once in {function.__qualname__}")
            source = source.replace(old, new)
        (definition,) = ast.parse(source).body
        assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)
        definition.decorator_list.clear()
        # What the function finds around it, such as the class that super() is about.
        around = ast.parse(f"def around({', '.join(function.__code__.co_freevars)}): pass")
        (outer,) = around.body
        assert isinstance(outer, ast.FunctionDef)
        outer.body = [definition]
        module = compile(
            around,
            function.__code__.co_filename,
            "exec",
            flags=__future__.annotations.compiler_flag,
            dont_inherit=True,
        )
        return _within(_within(module, "around"), definition.name)


def _within(code: CodeType, name: str) -> CodeType:
    (found,) = (
        each for each in code.co_consts if isinstance(each, CodeType) and each.co_name == name
    )
    return found


@dataclass(frozen=True, slots=True)
class Bug:
    """A bug that can be planted."""

    name: str
    profile: str
    """The one that it is looked for with."""
    edits: tuple[Edit, ...]
    layer: Layer = "rooms"
    """The lowest one that has it."""

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Have the bug within the block."""
        with ExitStack() as stack:
            for edit in self.edits:
                stack.enter_context(edit.made())
            yield


def bug(
    name: str,
    profile: str,
    *edits: tuple[Callable[..., object], str, str],
    layer: Layer = "rooms",
) -> Bug:
    """Return a bug.

    :param edits: function, old text, new text.
    :param layer: see :class:`Bug`.
    """
    of_function: dict[Callable[..., object], list[tuple[str, str]]] = {}
    for function, old, new in edits:
        of_function.setdefault(function, []).append((old, new))
    made = tuple(Edit(function, tuple(texts)) for function, texts in of_function.items())
    return Bug(name, profile, made, layer)
