"""What the stock clients find behind nginx: the same as without it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import (
    _turns,
    other_person,
    people,
    person,
)
from tests.e2e.server_process import ServerProcess, running_server
from tests.e2e.test_cookie_expiry import (
    test_a_page_left_open_over_the_expiry_of_its_cookie_keeps_receiving,
)
from tests.e2e.test_other_origin import (
    test_a_page_can_read_why_it_is_refused,
    test_a_page_reads_the_list_and_its_etag,
    test_a_page_that_is_not_allowed_opens_no_connection_with_a_cookie,
    test_a_page_that_is_not_allowed_reads_nothing,
    test_a_page_that_is_not_allowed_writes_nothing,
    test_a_page_writes_over_http_behind_a_preflight,
)
from tests.e2e.test_reconnecting import (
    test_a_command_repeated_after_a_kill_takes_effect_once,
    test_after_a_kill_clients_come_back_and_miss_nothing,
    test_clients_whose_server_is_killed_under_them_come_back_and_miss_nothing,
)
from tests.e2e.test_recovery import (
    test_a_client_that_did_not_ask_is_not_recovered,
    test_a_client_that_disconnected_is_not_recovered,
    test_a_recovered_client_is_in_its_room_and_gets_what_it_missed,
)
from tests.e2e.test_retries import (
    test_a_command_repeated_for_want_of_an_answer_takes_effect_once,
    test_a_command_repeated_over_a_recovered_connection_takes_effect_once,
)
from tests.e2e.test_transports import (
    test_a_join_brings_the_list_over_the_transport_that_was_asked_for,
    test_a_refusal_tells_its_message_and_its_code,
    test_edits_in_the_middle_of_an_upgrade_are_neither_lost_nor_doubled,
    test_edits_of_two_clients_at_once_are_answered_and_seen_in_one_order,
)
from tests.proxy.nginx import running_nginx

__all__ = [
    "_turns",
    "other_person",
    "people",
    "person",
    "test_a_client_that_did_not_ask_is_not_recovered",
    "test_a_client_that_disconnected_is_not_recovered",
    "test_a_command_repeated_after_a_kill_takes_effect_once",
    "test_a_command_repeated_for_want_of_an_answer_takes_effect_once",
    "test_a_command_repeated_over_a_recovered_connection_takes_effect_once",
    "test_a_join_brings_the_list_over_the_transport_that_was_asked_for",
    "test_a_page_can_read_why_it_is_refused",
    "test_a_page_left_open_over_the_expiry_of_its_cookie_keeps_receiving",
    "test_a_page_reads_the_list_and_its_etag",
    "test_a_page_that_is_not_allowed_opens_no_connection_with_a_cookie",
    "test_a_page_that_is_not_allowed_reads_nothing",
    "test_a_page_that_is_not_allowed_writes_nothing",
    "test_a_page_writes_over_http_behind_a_preflight",
    "test_a_recovered_client_is_in_its_room_and_gets_what_it_missed",
    "test_a_refusal_tells_its_message_and_its_code",
    "test_after_a_kill_clients_come_back_and_miss_nothing",
    "test_clients_whose_server_is_killed_under_them_come_back_and_miss_nothing",
    "test_edits_in_the_middle_of_an_upgrade_are_neither_lost_nor_doubled",
    "test_edits_of_two_clients_at_once_are_answered_and_seen_in_one_order",
]


@pytest.fixture(scope="module")
def server(page: str) -> Iterator[ServerProcess]:
    """A demo server whose clients come through nginx."""
    environment = {"GBS_ALLOWED_ORIGINS": page, "GBS_TRUSTED_PROXIES": "127.0.0.1"}
    with (
        running_server(environment=environment) as running,
        running_nginx(running.port, allowed_origins=[page]) as nginx,
    ):
        running.port = nginx.port
        yield running
