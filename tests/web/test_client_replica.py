"""The browser's replica and the Python client's make the same of the same events."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gbs_actor.client.replica import Replica
from gbs_actor.contract.batch_form import DeletedGroup, GroupUpdate, LineupsUpdate
from gbs_actor.lineup.records import Gender, Row, UserType

PROGRAM = Path(__file__).parent / "client" / "replica.mjs"
pytestmark = pytest.mark.node

revisions = st.integers(0, 40)
numbers = st.integers(1, 4)
ids = st.integers(1, 8)
# Names that sort by code point and not by UTF-16 unit, and equal ones that are spelled apart.
names = st.sampled_from(
    [
        "",
        "가",
        "\u1100\u1161",
        "각",
        "가\u0301",
        "김철수",
        "김 철수",
        "\uffee",
        "\U00010330",
        "z",
        "Z",
    ]
) | st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=3)
rows = st.builds(
    Row,
    id=ids,
    user_id=st.just(1),
    gbs_number=st.none() | numbers,
    total_count=numbers,
    male_count=st.just(0),
    female_count=st.just(0),
    full_attendance_count=st.just(0),
    partial_attendance_count=st.just(0),
    univ_group_id=st.just(1),
    univ_group_number=st.just(1),
    grade_id=st.just(1),
    grade_number=st.integers(1, 2),
    gender=st.sampled_from(Gender),
    name=names,
    phone_number=st.just(""),
    current_leader=st.just(""),
    is_leader=st.booleans(),
    is_full_attendance=st.booleans(),
    gbs_memo=st.sampled_from(["", "2층"]),
    lineup_memo=st.just(""),
    lineup_memo_id=st.none(),
    lineup_memocolor=st.just(""),
    user_type=st.none() | st.sampled_from(UserType),
    user_retreat_registration_schedule_ids=st.lists(numbers, max_size=2).map(tuple),
    created_at=st.just(""),
    updated_at=st.just(""),
    unresolved_lineup_history_memo=st.none(),
    admin_memo=st.none(),
    revision=revisions,
)
groups = st.builds(
    GroupUpdate,
    gbs_number=numbers,
    revision=revisions,
    gbs_memo=st.sampled_from(["", "3층"]),
    total_count=numbers,
) | st.builds(DeletedGroup, gbs_number=numbers, revision=revisions)
several = st.lists(rows, max_size=6, unique_by=lambda row: row.id)
operations = st.one_of(
    st.fixed_dictionaries(
        {
            "op": st.just("join"),
            "rows": several,
            "revision": revisions,
            "epoch": st.sampled_from("ab"),
            "full": st.booleans(),
        }
    ),
    st.fixed_dictionaries({"op": st.just("merge"), "row": rows}),
    st.fixed_dictionaries(
        {
            "op": st.just("apply"),
            "update": st.fixed_dictionaries(
                {
                    "revision": revisions,
                    "rows": several,
                    "groups": st.lists(groups, max_size=3),
                    "changes": st.just(()),
                },
                optional={"removed": st.lists(ids, max_size=2)},
            ),
        }
    ),
    st.fixed_dictionaries(
        {"op": st.just("answer"), "row": rows, "revision": st.none() | revisions}
    ),
)


class BrowserReplica:
    """The replica of the browser's client, in Node."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def perform(self, operation: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(operation) + b"\n")
        self._process.stdin.flush()
        state: dict[str, Any] = msgspec.json.decode(self._process.stdout.readline())
        return state


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserReplica]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    with subprocess.Popen(
        [node, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield BrowserReplica(process)
        assert process.stdin is not None
        process.stdin.close()


def perform(replica: Replica, operation: dict[str, Any]) -> None:
    match operation:
        case {"op": "join", "full": True}:
            replica.replace(operation["rows"], operation["revision"], operation["epoch"])
        case {"op": "join"}:
            replica.merge(operation["rows"], operation["revision"])
        case {"op": "merge"}:
            replica.merge([operation["row"]])
        case {"op": "apply"}:
            payload = msgspec.json.encode(operation["update"])
            replica.apply(msgspec.json.decode(payload, type=LineupsUpdate))
        case _:
            replica.merge_answer(operation["row"], operation["revision"])


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sequence=st.lists(operations, max_size=12))
def test_both_replicas_are_equal_after_each_event(
    browser: BrowserReplica, sequence: list[dict[str, Any]]
) -> None:
    replica = Replica()
    browser.perform({"op": "reset"})
    for operation in sequence:
        perform(replica, operation)
        state = browser.perform(operation)
        assert state["unstable"] == []
        assert state["rows"] == msgspec.json.decode(msgspec.json.encode(replica.rows))
        assert (state["revision"], state["since"]) == (replica.revision, replica.since)
        assert state["epoch"] == replica.epoch
