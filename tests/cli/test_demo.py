"""The demo starts with nothing set, says how to try it, and keeps its word."""

from __future__ import annotations

import html
import json
import re
import signal
import subprocess
import urllib.error
import urllib.request

import pytest

from gbs_actor.demo.secret import SECRET_FILE
from tests.cli.demo_process import CLI, Demo, environment, read_until, running
from tests.e2e.server_process import data_folder, running_server


def test_the_page_stands_first_and_lets_people_in_by_one_click(demo: Demo) -> None:
    first = next(line for line in demo.banner.splitlines() if line.strip())
    assert first == f"Edit the line-up, in two windows as two people: {demo.url}/"
    with urllib.request.urlopen(demo.url, timeout=10) as response:
        page = html.unescape(response.read().decode())
    people = re.search(r'"demoPeople":\[([^\]]+)\]', page)
    assert people
    for number, name in enumerate(json.loads(f"[{people[1]}]"), 1):
        request = urllib.request.Request(
            f"{demo.url}/demo/session",
            data=json.dumps({"person": number}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            session = json.load(response)
        assert session["name"] == name
        answer = demo.get("/api/v1/retreats", session["token"])
        assert isinstance(answer, dict)
        assert [each["slug"] for each in answer["retreats"]] == ["2024-summer", "2024-winter"]


def test_with_a_secret_of_ones_own_nobody_is_let_in_by_a_click() -> None:
    """Its tokens may be good elsewhere, too."""
    with running_server() as server:  # it has one
        request = urllib.request.Request(
            f"{server.url}/demo/session",
            data=b'{"person": 1}',
            headers={"Content-Type": "application/json"},
        )
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(request, timeout=10)
        assert "offers no sign-in" in server.log()


def test_the_banners_token_reads_the_list(demo: Demo) -> None:
    path = demo[r"(/api/v1/retreat/\S+)"]
    answer = demo.get(path, demo[r"export TOKEN=(\S+)"])
    assert isinstance(answer, dict)
    assert len(answer["userRetreatGbsLineups"]) == 80


def test_the_banners_other_token_is_an_operators(demo: Demo) -> None:
    assert demo.get("/admin/rooms", demo[r"export ADMIN=(\S+)"]) is not None


def test_the_secret_is_kept_for_the_next_start(demo: Demo) -> None:
    made = subprocess.run(
        [*CLI, "token", "--user-id", "9"],
        env=environment(demo.data),
        cwd=demo.data.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (demo.data / SECRET_FILE).stat().st_mode & 0o777 == 0o600
    assert demo.get("/api/v1/retreat/2024-summer/line-up/user-lineups", made.stdout.strip())


def test_tail_makes_its_own_token_and_shows_the_room(demo: Demo) -> None:
    with running("tail", "2024-winter", "--url", demo.url, data=demo.data) as process:
        seen = read_until(process, r"the list: 80 people")
        seen += read_until(process, r"in the room: .*gbs-actor tail")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_tail_as_json_gives_rows_that_machines_read(demo: Demo) -> None:
    with running("tail", "2024-winter", "--json", "--url", demo.url, data=demo.data) as process:
        assert process.stdout is not None
        rows = [json.loads(process.stdout.readline()) for _ in range(80)]
    assert len({row["userId"] for row in rows}) == 80


def test_tail_of_a_retreat_that_is_not_there_is_one_sentence(demo: Demo) -> None:
    with running("tail", "nowhere", "--url", demo.url, data=demo.data) as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "")
    assert re.fullmatch(r"Error: .*RETREAT_NOT_FOUND.*\n", err)


def test_tail_with_a_wrong_token_is_one_sentence(demo: Demo) -> None:
    arguments = ("tail", "2024-winter", "--url", demo.url, "--token", "wrong")
    with running(*arguments, data=demo.data) as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "")
    assert err == "Error: Invalid token (INVALID_TOKEN)\n"


def test_a_second_server_on_the_same_data_is_refused_in_one_sentence(demo: Demo) -> None:
    with running("serve", "--demo", "--port", "0", data=demo.data) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert re.search(r"(?m)^Error: another server already runs the database in .*$", err)
    assert "Traceback" not in err


def test_a_port_that_is_taken_is_one_sentence(demo: Demo) -> None:
    port = demo.url.rpartition(":")[2]
    with data_folder() as data, running("serve", "--demo", "--port", port, data=data) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert re.search(rf"(?m)^Error: 127.0.0.1:{port}: .*[Aa]ddress already in use", err)
    assert "Traceback" not in err
