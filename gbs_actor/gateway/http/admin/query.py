"""The fields of a query that asks for a page of a list."""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import StrEnum
from typing import Final, TypeVar

from werkzeug.datastructures import MultiDict

from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.gateway.http.preconditions import single

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500
"""Entries of one page, at most."""
MAX_OFFSET: Final = 1_000_000
MAX_TEXT: Final = 200
"""Characters of a field, at most."""

EnumT = TypeVar("EnumT", bound=StrEnum)

_NUMBER: Final = re.compile(r"[0-9]{1,19}")


def sorts(keys: Collection[str]) -> tuple[str, ...]:
    """Return what ``sort`` may be: a key, or ``-`` and one, for the highest first."""
    return (*keys, *(f"-{key}" for key in keys))


def sort_key(
    arguments: MultiDict[str, str], keys: Collection[str], *, default: str
) -> tuple[str, bool]:
    """Return the key to sort by, and whether the highest come first.

    :raises InvalidPayload: there is no such key, or more than one is given.
    """
    sort = single("sort", arguments)
    if sort is None:
        sort = default
    elif sort not in sorts(keys):
        raise InvalidPayload("sort", f"sort must be one of {', '.join(keys)}, or - and one.")
    return sort.removeprefix("-"), sort.startswith("-")


def limit_of(arguments: MultiDict[str, str], *, default: int = DEFAULT_LIMIT) -> int:
    """Return how many entries a page may have.

    :raises InvalidPayload: it is no number, out of range, or given more than once.
    """
    return number("limit", arguments, 1, MAX_LIMIT) or default


def page_bounds(arguments: MultiDict[str, str]) -> tuple[int, int]:
    """Return how many entries are before the page, and how many it may have.

    :raises InvalidPayload: one of them is no number, out of range, or given more than once.
    """
    return number("offset", arguments, 0, MAX_OFFSET) or 0, limit_of(arguments)


def text(name: str, arguments: MultiDict[str, str]) -> str | None:
    """Return a text; ``None``: it is absent.

    :raises InvalidPayload: it is too long, or given more than once.
    """
    value = single(name, arguments)
    if value is not None and len(value) > MAX_TEXT:
        raise InvalidPayload(name, f"{name} must have at most {MAX_TEXT} characters.")
    return value


def one_of(name: str, arguments: MultiDict[str, str], values: type[EnumT]) -> EnumT | None:
    """Return a value of an enumeration; ``None``: it is absent.

    :raises InvalidPayload: it is none of them, or given more than once.
    """
    given = single(name, arguments)
    if given is None:
        return None
    try:
        return values(given)
    except ValueError:
        raise InvalidPayload(name, f"{name} must be one of {', '.join(values)}.") from None


def number(name: str, arguments: MultiDict[str, str], lowest: int, highest: int) -> int | None:
    """Return a number; ``None``: it is absent.

    :raises InvalidPayload: it is none, out of range, or given more than once.
    """
    given = single(name, arguments)
    if given is None:
        return None
    if not _NUMBER.fullmatch(given) or not lowest <= int(given) <= highest:
        raise InvalidPayload(name, f"{name} must be a number between {lowest} and {highest}.")
    return int(given)
