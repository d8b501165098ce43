"""What can go wrong between a caller and the API goes wrong on demand."""

import email.utils
import json
import re
import socket
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

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


def listed(emulator: Emulator) -> list[str]:
    """List the descriptions of the tokens made by hand."""
    tokens = call(emulator, "GET", "/v1/access_token").json()["tokens"]
    return [token["description"] for token in tokens if token["created_manually"]]


def made(emulator: Emulator) -> int:
    """Count the tokens made by hand, with all faults off."""
    emulator.faults = []
    return len(listed(emulator))


def told(response: requests.Response) -> object:
    """Give what an answer says, fit for the report of a failure: without the secret of a token."""
    answer = response.json()
    return {**answer, "full_token": "…"} if "full_token" in answer else answer


def creating(emulator: Emulator) -> socket.socket:
    """Ask for a token over a socket of our own, which shows how a connection ends."""
    connection = socket.create_connection(("127.0.0.1", urlsplit(emulator.url).port or 0), timeout=10)
    body = b'{"description": "d"}'
    headers = f"Host: 127.0.0.1\r\nAuthorization: aivenv1 {emulator.token}\r\nContent-Length: {len(body)}"
    connection.sendall(f"POST /v1/access_token HTTP/1.1\r\n{headers}\r\n\r\n".encode() + body)
    return connection


def rest(connection: socket.socket) -> tuple[bytes, bool]:
    """Read to the end of a connection; give what came, and whether TCP said that it was reset."""
    received = bytearray()
    try:
        while data := connection.recv(65_536):
            received += data
    except ConnectionResetError:
        return bytes(received), True
    return bytes(received), False


def wait_until(happens: Callable[[], object]) -> None:
    """Wait for what must happen soon."""
    patience = time.monotonic() + 10
    while not happens():
        assert time.monotonic() < patience
        time.sleep(0.01)


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
    wait_until(lambda: emulator.requests)
    assert made(emulator) == 1


@pytest.mark.parametrize(
    ("kind", "changes"), [("truncated", 1), ("drop_before", 0), ("drop_during", 1), ("flood", 0), ("stale_list", 1)]
)
def test_what_else_goes_wrong_after_a_caller_gave_up_is_noted_all_the_same(
    emulator: Emulator, caplog: pytest.LogCaptureFixture, kind: Any, changes: int
) -> None:
    """There is nobody to spoil an answer for, which is no failure of the emulator's."""
    emulator.faults = [Fault(kind="latency", seconds=0.2), Fault(kind=kind)]
    creating(emulator).close()
    wait_until(lambda: emulator.requests)
    assert made(emulator) == changes
    assert caplog.messages == []


def test_rate_limit_says_when_to_come_again(emulator: Emulator) -> None:
    """A 429 has the service's message, and Retry-After in seconds, as a date, or not at all."""
    rule: dict[str, Any] = {"kind": "status", "status": 429, "retry_after_seconds": 7, "times": 1}
    emulator.faults = [rule, {**rule, "retry_after": "seconds"}, {**rule, "retry_after": "http-date"}]
    bare, seconds, date = create(emulator), create(emulator), create(emulator)
    message = "The user has sent too many requests in a given amount of time: Rate limit 120 exceeded - try again in 7s"
    for response in (bare, seconds, date):
        assert response.status_code == 429
        assert told(response) == {"errors": [{"message": message, "status": 429}], "message": message}
    assert "Retry-After" not in bare.headers
    assert seconds.headers["Retry-After"] == "7"
    assert 4 < email.utils.parsedate_to_datetime(date.headers["Retry-After"]).timestamp() - time.time() <= 7
    assert made(emulator) == 0


@pytest.mark.parametrize(
    ("status", "content_type"),
    [
        *((status, "application/json") for status in (401, 403, 409, 500)),
        *((status, "text/html") for status in (502, 503, 504)),
    ],
)
def test_errors_of_the_service_are_json_and_a_proxys_are_pages(
    emulator: Emulator, status: int, content_type: str
) -> None:
    """What the service says is in its shape; 502 to 504 are HTML from a proxy before it."""
    emulator.faults = [Fault(kind="status", status=status)]
    response = create(emulator)
    assert response.status_code == status
    assert response.headers["Content-Type"].startswith(content_type)
    if content_type == "application/json":
        message = response.json()["message"]
        assert told(response) == {"errors": [{"message": message, "status": status}], "message": message}
    assert made(emulator) == 0


@pytest.mark.parametrize("status", [401, 403, 409, 429, 500, 502, 503, 504])
def test_refusal_has_the_words_and_the_code_asked_for(emulator: Emulator, status: int) -> None:
    """With words or a code of Aiven's every status is the service's own."""
    code = "user_personal_token_not_allowed"
    emulator.faults = [
        {"kind": "status", "status": status, "message": "m", "error_code": code, "times": 1},
        {"kind": "status", "status": status, "message": "{seconds}", "times": 1},
        {"kind": "status", "status": status, "error_code": code, "after_change": True},
    ]
    both, words, bare = create(emulator), create(emulator), create(emulator)
    assert {response.status_code for response in (both, words, bare)} == {status}
    assert told(both) == {"errors": [{"message": "m", "status": status, "error_code": code}], "message": "m"}
    assert told(words) == {"errors": [{"message": "{seconds}", "status": status}], "message": "{seconds}"}
    assert [error["error_code"] for error in bare.json()["errors"]] == [code]
    assert made(emulator) == 1


def test_gateway_timeout_can_come_after_the_change(emulator: Emulator) -> None:
    """With `after_change` the error is an answer to a change that was made."""
    emulator.faults = [Fault(kind="status", status=504, after_change=True)]
    assert create(emulator).status_code == 504
    assert made(emulator) == 1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, {"message": "Internal server error"}),
        ({"message": "m", "error_code": "c"}, {"message": "m", "error_code": "c"}),
    ],
)
def test_error_can_come_with_200(emulator: Emulator, more: dict[str, str], words: dict[str, str]) -> None:
    """An error that only the body tells comes instead of the change, or of its answer."""
    for changes in (0, 1):
        emulator.faults = [{"kind": "error", **more, "after_change": bool(changes)}]
        response = create(emulator)
        assert response.status_code == 200
        assert told(response) == {"error": True, **words}
        assert made(emulator) == changes


@pytest.mark.parametrize("body", ["", "5", '{"tokens": 5}', "[" * 100_000, '{"user": "é', "NaN"])
def test_any_text_can_be_the_answer(emulator: Emulator, body: str) -> None:
    """The text comes as it is, as JSON with status 200, instead of the change or of its answer."""
    for changes in (0, 1):
        emulator.faults = [{"kind": "body", "body": body, "after_change": bool(changes)}]
        response = create(emulator)
        assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
        is_the_text = response.content == body.encode()
        assert is_the_text
        assert made(emulator) == changes


def test_text_can_be_no_utf_8(emulator: Emulator) -> None:
    """Half a surrogate pair is sent as bytes that are no text."""
    emulator.faults = [Fault(kind="body", body='{"message": "\ud800"}')]
    with pytest.raises(UnicodeDecodeError):
        create(emulator).content.decode()


def test_fields_of_tokens_and_users_are_not_what_they_should_be(emulator: Emulator) -> None:
    """Wrong, unknown and missing fields are among the true ones, in each token and in the user; the change is made."""
    fault = {"kind": "fields", "fields": {"max_age_seconds": "x", "new": 1}, "without": ["last_ip", "city"]}
    true = [create(emulator).json()]
    path = f"/v1/access_token/{quote(true[0]['token_prefix'], safe='')}"
    true += call(emulator, "GET", "/v1/access_token").json()["tokens"]
    true.append(call(emulator, "GET", "/v1/me").json()["user"])
    requests.put(f"{emulator.url}/emulator/faults", json=[fault], timeout=10)
    odd = [create(emulator).json(), call(emulator, "PUT", path, {"description": "other"}).json()]
    odd += call(emulator, "GET", "/v1/access_token").json()["tokens"]
    odd.append(call(emulator, "GET", "/v1/me").json()["user"])
    kinds = [frozenset(true[at]) for at in (0, 1, 1, 1, 1, 3)]
    assert [frozenset(one) for one in odd] == [
        kind - {"last_ip", "city"} | {"max_age_seconds", "new"} for kind in kinds
    ]
    assert all((one["max_age_seconds"], one["new"]) == ("x", 1) for one in odd)
    assert [one["description"] for one in odd[:2]] == ["d", "other"]
    assert call(emulator, "DELETE", path).json() == {"message": "Access token revoked"}
    assert call(emulator, "DELETE", path).json() == {
        "errors": [{"message": "Access token not found", "status": 404}],
        "message": "Access token not found",
    }
    assert made(emulator) == 1


def test_list_can_lag_behind(emulator: Emulator) -> None:
    """The tokens made lately, by the emulator's clock, are not listed yet, but are there for all other calls."""
    create(emulator)
    emulator.clock_offset = 100
    full_token = call(emulator, "POST", "/v1/access_token", {"description": "new"}).json()["full_token"]
    emulator.faults = [{"kind": "stale_list", "seconds": 50, "times": 2}]
    assert listed(emulator) == ["d"]
    headers = {"Authorization": f"aivenv1 {full_token}"}
    response = requests.get(f"{emulator.url}/v1/me", headers=headers, timeout=10)
    assert response.status_code == 200
    emulator.clock_offset = 140
    assert listed(emulator) == ["d"]
    assert listed(emulator) == ["d", "new"]
    emulator.faults = [Fault(kind="stale_list", seconds=50)]
    assert listed(emulator) == ["d"]
    emulator.clock_offset = 151
    assert listed(emulator) == ["d", "new"]
    headers = {"Authorization": "aivenv1 " + "no" + "pe"}
    refused = requests.get(f"{emulator.url}/v1/access_token", headers=headers, timeout=10)
    assert (refused.status_code, refused.json()["message"]) == (401, "Missing (expired) db token")


@pytest.mark.parametrize("after_change", [False, True])
def test_answer_can_be_far_too_long(emulator: Emulator, after_change: bool) -> None:  # noqa: FBT001
    """So many bytes of JSON that does not begin are sent, of which the emulator never holds more than a few."""
    emulator.faults = [{"kind": "flood", "bytes": 20_000_001, "after_change": after_change}]
    tracemalloc.start()
    try:
        with requests.post(
            f"{emulator.url}/v1/access_token",
            headers={"Authorization": f"aivenv1 {emulator.token}"},
            json={"description": "d"},
            stream=True,
            timeout=10,
        ) as response:
            assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
            assert "Content-Length" not in response.headers
            length = sum(len(chunk) for chunk in response.iter_content(65_536) if not chunk.strip())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert length == 20_000_001
    assert peak < 5_000_000
    assert made(emulator) == after_change


def test_flood_ends_when_its_caller_goes_away(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """It lasts for as long as it is not all taken, and no longer than somebody is there to take it."""
    emulator.faults = [Fault(kind="flood")]
    with creating(emulator) as connection:
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        time.sleep(0.2)
        assert emulator.requests == []
    wait_until(lambda: emulator.requests)
    assert caplog.messages == []


def test_flood_that_nobody_takes_does_not_outlive_the_emulator() -> None:
    """The connection is ended with the emulator, not left to the garbage collector, which would warn of it."""
    with Emulator() as emulator:
        emulator.faults = [Fault(kind="flood")]
        connection = creating(emulator)
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
    with connection:
        assert len(rest(connection)[0]) < 100_000_000


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
    size = len(response.content)
    assert (response.status_code, size) == (200, 0)
    assert made(emulator) == 1


def test_truncated_answer_comes_after_the_change(emulator: Emulator) -> None:
    """The change is made, and the connection ends before the length that was promised."""
    emulator.faults = [Fault(kind="truncated")]
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        create(emulator)
    assert made(emulator) == 1


@pytest.mark.parametrize(
    ("kind", "changes", "status"), [("drop_before", 0, None), ("drop_during", 1, 200), ("drop_after", 1, None)]
)
def test_connection_drops_before_during_or_after_the_change(
    emulator: Emulator, kind: str, changes: int, status: int | None
) -> None:
    """A caller cannot tell whether the change was made; the record has the status that was sent, if one was."""
    emulator.faults = [{"kind": kind}]
    with pytest.raises((requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        create(emulator)
    assert [record.status for record in emulator.requests] == [status]
    assert made(emulator) == changes


@pytest.mark.parametrize(
    ("kind", "has_half", "is_reset"),
    [
        ("drop_before", False, True),
        ("drop_during", True, True),
        ("drop_after", False, True),
        ("truncated", True, False),
    ],
)
def test_dropped_connection_is_reset_and_a_truncated_answer_is_not(
    emulator: Emulator, kind: str, *, has_half: bool, is_reset: bool
) -> None:
    """TCP says that a connection was reset, after half of the answer where there was one, or that it has ended."""
    emulator.faults = [{"kind": kind}]
    with creating(emulator) as connection:
        received, was_reset = rest(connection)
    assert was_reset is is_reset
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [int(length) // 2 for length in re.findall(r"Content-Length: (\d+)", head.decode())]
    sizes = [len(body)] if received else []
    assert sizes == lengths
    assert bool(sizes) is has_half


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


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "drop_during", "times": 1},
        {"kind": "status", "status": 403, "error_code": "c", "message": "m", "after_change": True},
        {"kind": "error", "message": "\ud800"},
        {"kind": "body", "body": "[" * 100_000},
        {"kind": "fields", "fields": {"scopes": json.loads("[" * 490 + "]" * 490)}, "without": ["last_ip"]},
        {"kind": "flood", "bytes": 5},
        {"kind": "stale_list", "seconds": 60},
    ],
    ids=lambda rule: rule["kind"],
)
def test_every_fault_can_be_set_and_told_over_http(emulator: Emulator, rule: dict[str, Any]) -> None:
    """A rule is the same in Python and in JSON, and what is told of it can be set again."""
    url = f"{emulator.url}/emulator/faults"
    answer = requests.put(url, json=[rule], timeout=10).json()
    assert emulator.faults == [Fault(**rule)]
    assert requests.put(url, json=answer["faults"], timeout=10).json() == answer
    assert rule.items() <= answer["faults"][0].items()


def test_faults_are_set_over_http(emulator: Emulator) -> None:
    """`/emulator/faults` sets, tells and clears the rules without a credential."""
    url = f"{emulator.url}/emulator/faults"
    rules = requests.put(url, json=[{"kind": "empty", "call": "me", "times": 1}], timeout=10).json()["faults"]
    assert {"kind": "empty", "call": "me", "times": 1}.items() <= rules[0].items()
    assert emulator.faults == [Fault(kind="empty", call="me", times=1)]
    assert call(emulator, "GET", "/v1/me").content == b""
    assert requests.get(url, timeout=10).json()["faults"] == rules
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
