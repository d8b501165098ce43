"""What can go wrong between a caller and the API goes wrong on demand."""

import email.utils
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from pulumi_avn_token.emulator import Emulator, Fault


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Run an emulator in memory."""
    with Emulator() as emulator:
        yield emulator


def call(emulator: Emulator, method: str, path: str, body: object = None) -> requests.Response:
    """Call the API once."""
    headers = {"Authorization": f"aivenv1 {emulator.token}"}
    return requests.request(method, emulator.url + path, headers=headers, json=body, timeout=10)


def create(emulator: Emulator) -> requests.Response:
    """Ask for a token."""
    return call(emulator, "POST", "/v1/access_token", {"description": "d"})


def made(emulator: Emulator) -> int:
    """Count the tokens made by hand, with all faults off."""
    emulator.faults = []
    return sum(token["created_manually"] for token in call(emulator, "GET", "/v1/access_token").json()["tokens"])


def test_latency_delays_the_answer(emulator: Emulator) -> None:
    """The answer is right, and late by the seconds asked for."""
    emulator.faults = [Fault(kind="latency", seconds=0.2)]
    begin = time.monotonic()
    assert create(emulator).status_code == 200
    assert time.monotonic() - begin >= 0.2


def test_caller_that_gives_up_does_not_undo_the_change(emulator: Emulator) -> None:
    """A change whose caller timed out is made all the same."""
    emulator.faults = [Fault(kind="latency", seconds=0.2)]
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(
            f"{emulator.url}/v1/access_token",
            headers={"Authorization": f"aivenv1 {emulator.token}"},
            json={"description": "d"},
            timeout=0.05,
        )
    while not emulator.requests:
        time.sleep(0.01)
    assert made(emulator) == 1


def test_rate_limit_says_when_to_come_again(emulator: Emulator) -> None:
    """A 429 has the service's message, and Retry-After in seconds, as a date, or not at all."""
    rule: dict[str, Any] = {"kind": "status", "status": 429, "retry_after_seconds": 7, "times": 1}
    emulator.faults = [rule, {**rule, "retry_after": "seconds"}, {**rule, "retry_after": "http-date"}]
    bare, seconds, date = create(emulator), create(emulator), create(emulator)
    message = "The user has sent too many requests in a given amount of time: Rate limit 120 exceeded - try again in 7s"
    for response in (bare, seconds, date):
        assert response.status_code == 429
        assert response.json() == {"errors": [{"message": message, "status": 429}], "message": message}
    assert "Retry-After" not in bare.headers
    assert seconds.headers["Retry-After"] == "7"
    assert 4 < email.utils.parsedate_to_datetime(date.headers["Retry-After"]).timestamp() - time.time() <= 7
    assert made(emulator) == 0


@pytest.mark.parametrize(
    ("status", "content_type"),
    [(500, "application/json"), (502, "text/html"), (503, "text/html"), (504, "text/html")],
)
def test_server_errors_are_json_and_a_proxys_are_pages(emulator: Emulator, status: int, content_type: str) -> None:
    """A 500 comes from the service; 502 to 504 are HTML from a proxy before it."""
    emulator.faults = [Fault(kind="status", status=status)]
    response = create(emulator)
    assert response.status_code == status
    assert response.headers["Content-Type"].startswith(content_type)
    assert made(emulator) == 0


def test_gateway_timeout_can_come_after_the_change(emulator: Emulator) -> None:
    """With `after_change` the error is an answer to a change that was made."""
    emulator.faults = [Fault(kind="status", status=504, after_change=True)]
    assert create(emulator).status_code == 504
    assert made(emulator) == 1


def test_page_with_200_is_not_json(emulator: Emulator) -> None:
    """An HTML page comes with status 200 in the answer's place."""
    emulator.faults = [Fault(kind="html")]
    response = create(emulator)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    with pytest.raises(json.JSONDecodeError):
        response.json()
    assert made(emulator) == 0


def test_empty_answer_comes_after_the_change(emulator: Emulator) -> None:
    """The change is made, and its answer has no body."""
    emulator.faults = [Fault(kind="empty")]
    response = create(emulator)
    assert (response.status_code, response.content) == (200, b"")
    assert made(emulator) == 1


def test_truncated_answer_comes_after_the_change(emulator: Emulator) -> None:
    """The change is made, and the connection ends before the length that was promised."""
    emulator.faults = [Fault(kind="truncated")]
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        create(emulator)
    assert made(emulator) == 1


@pytest.mark.parametrize(("kind", "changes"), [("drop_before", 0), ("drop_after", 1)])
def test_connection_drops_before_or_after_the_change(emulator: Emulator, kind: str, changes: int) -> None:
    """The caller sees the same either way: no answer; and the record has no status."""
    emulator.faults = [{"kind": kind}]
    with pytest.raises(requests.exceptions.ConnectionError):
        create(emulator)
    assert [record.status for record in emulator.requests] == [None]
    assert made(emulator) == changes


def test_faults_can_be_counted_out(emulator: Emulator) -> None:
    """`after` lets requests through first, `times` is how many are struck."""
    emulator.faults = [{"kind": "status", "status": 500, "call": "create", "after": 1, "times": 2}]
    assert [create(emulator).status_code for _ in range(5)] == [200, 500, 500, 200, 200]


def test_first_rule_that_fits_strikes(emulator: Emulator) -> None:
    """Rules strike one after another as those before them are spent; latency comes on top."""
    emulator.faults = [
        {"kind": "latency", "seconds": 0.1, "times": 1},
        {"kind": "status", "status": 500, "times": 1},
        {"kind": "status", "status": 503, "times": 1},
    ]
    begin = time.monotonic()
    assert [create(emulator).status_code for _ in range(3)] == [500, 503, 200]
    assert time.monotonic() - begin >= 0.1


def test_fault_strikes_only_what_it_is_about(emulator: Emulator) -> None:
    """Other calls, and the control of the emulator itself, go on."""
    emulator.faults = [Fault(kind="status", status=500, path_contains="access_token")]
    assert call(emulator, "GET", "/v1/me").status_code == 200
    assert call(emulator, "GET", "/v1/access_token").status_code == 500
    emulator.faults = [Fault(kind="status", status=500)]
    assert call(emulator, "GET", "/emulator/faults").status_code == 200


def test_faults_are_set_over_http(emulator: Emulator) -> None:
    """`/emulator/faults` sets, tells and clears the rules without a credential."""
    url = f"{emulator.url}/emulator/faults"
    told = requests.put(url, json=[{"kind": "empty", "call": "me", "times": 1}], timeout=10).json()["faults"]
    assert {"kind": "empty", "call": "me", "times": 1}.items() <= told[0].items()
    assert emulator.faults == [Fault(kind="empty", call="me", times=1)]
    assert call(emulator, "GET", "/v1/me").content == b""
    assert requests.get(url, timeout=10).json()["faults"] == told
    assert requests.delete(url, timeout=10).json() == {"faults": []}
    assert emulator.faults == []


@pytest.mark.parametrize("rules", [{}, [1], [{}], [{"kind": "typo"}], [{"kind": "empty", "typo": 1}]])
def test_bad_rules_are_refused_and_change_nothing(emulator: Emulator, rules: object) -> None:
    """Rules that mean nothing are a 400, and those in force stay."""
    emulator.faults = [Fault(kind="latency", seconds=0)]
    response = requests.put(f"{emulator.url}/emulator/faults", json=rules, timeout=10)
    assert response.status_code == 400
    assert response.json()["message"].startswith("Invalid input for ")
    assert emulator.faults == [Fault(kind="latency", seconds=0)]
