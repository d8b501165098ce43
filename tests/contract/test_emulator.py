"""The emulator keeps to what is known of the token API."""

import base64
import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from aiohttp import web

from pulumi_avn_token.emulator import Emulator, EmulatorError
from pulumi_avn_token.emulator.store import Store

TOKEN_KEYS = {
    "create_time",
    "created_manually",
    "currently_active",
    "description",
    "expiry_time",
    "extend_when_used",
    "ip_allowlist",
    "last_ip",
    "last_used_time",
    "last_user_agent",
    "last_user_agent_human_readable",
    "max_age_seconds",
    "scopes",
    "token_prefix",
}
EXPIRED = {
    "errors": [{"message": "Missing (expired) db token", "status": 401}],
    "message": "Missing (expired) db token",
}


class Caller:
    """A program that calls the API with one credential."""

    def __init__(self, emulator: Emulator, token: str | None = None, user_agent: str = "test/1") -> None:
        self._url = emulator.url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update({"Authorization": f"aivenv1 {token or emulator.token}", "User-Agent": user_agent})

    def __call__(self, method: str, path: str, body: object = None, **options: Any) -> requests.Response:
        """Make a call, with `body` as JSON."""
        if body is not None:
            options["json"] = body
        return self._session.request(method, self._url + path, timeout=10, **options)

    def create(self, **fields: object) -> dict[str, Any]:
        """Make a token."""
        return self._object("POST", "/v1/access_token", {"description": "d", **fields})

    def list(self) -> list[dict[str, Any]]:
        """List the tokens made by hand."""
        tokens: list[dict[str, Any]] = self._object("GET", "/v1/access_token")["tokens"]
        return [token for token in tokens if token["created_manually"]]

    def _object(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        response = self(method, path, body)
        assert response.status_code == 200, response.text
        value: dict[str, Any] = response.json()
        return value

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Run an emulator in memory."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def call(emulator: Emulator) -> Iterator[Caller]:
    """Call it with its first token."""
    caller = Caller(emulator)
    yield caller
    caller.close()


def token_path(name: str) -> str:
    """Give the path of a token, its name encoded without safe characters."""
    return f"/v1/access_token/{quote(name, safe='')}"


def error(status: int, message: str, **more: str) -> dict[str, object]:
    """Give an error in the service's shape."""
    return {"errors": [{"message": message, "status": status, **more}], "message": message}


def test_created_token_has_every_key_and_its_secret(call: Caller) -> None:
    """The answer to a creation is the whole token object, null where nothing was set, plus the full token."""
    token = call.create(description="CI")
    assert set(token) == TOKEN_KEYS | {"full_token"}
    assert token["description"] == "CI"
    assert token["created_manually"] is True
    assert token["currently_active"] is False
    assert token["extend_when_used"] is False
    unset = {"ip_allowlist", "scopes", "last_ip", "last_used_time", "last_user_agent", "last_user_agent_human_readable"}
    assert {key for key, value in token.items() if value is None} == unset
    assert len(token["full_token"]) == 372
    assert len(base64.b64decode(token["full_token"], validate=True)) == 277
    assert token["full_token"].startswith(token["token_prefix"])


def test_secret_is_told_once(call: Caller) -> None:
    """No answer but the creation's holds the full token."""
    full_token = call.create()["full_token"]
    path = token_path(full_token[:12])
    answers = [call("GET", "/v1/access_token"), call("PUT", path, {"description": "x"}), call("DELETE", path)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert not any(full_token[12:40] in answer.text for answer in answers)


def test_fields_come_back(call: Caller) -> None:
    """What was asked for is what the token has."""
    wanted = {
        "description": "d",
        "max_age_seconds": 3600,
        "extend_when_used": True,
        "ip_allowlist": ["10.0.0.0/8", "2001:db8::/32"],
        "scopes": ["user:read"],
    }
    assert wanted.items() <= call.create(**wanted).items()
    assert wanted.items() <= call.list()[0].items()


@pytest.mark.parametrize("age", [{}, {"max_age_seconds": None}])
def test_token_without_age_lives_thirty_days(call: Caller, age: dict[str, None]) -> None:
    """An absent or null age is 30 days, and the answer says so."""
    token = call.create(**age)
    life = datetime.fromisoformat(token["expiry_time"][:-1]) - datetime.fromisoformat(token["create_time"][:-1])
    assert token["max_age_seconds"] == 2592000
    assert life == timedelta(days=30)


def test_token_without_age_lives_for_ever_by_switch() -> None:
    """With `default_max_age_seconds=None` an absent age is null, and so is the expiry."""
    with Emulator(default_max_age_seconds=None) as emulator:
        caller = Caller(emulator)
        token = caller.create()
        caller.close()
    assert token["max_age_seconds"] is None
    assert token["expiry_time"] is None


def test_prefix_works_only_encoded(call: Caller) -> None:
    """Every prefix holds a slash, so that a path with a bare one leads nowhere."""
    prefix = call.create()["token_prefix"]
    assert {"+", "/"} <= set(prefix)
    assert call("DELETE", f"/v1/access_token/{prefix}").status_code == 404
    assert call("DELETE", token_path(prefix)).status_code == 200


@pytest.mark.parametrize("by", ["token_prefix", "full_token"])
def test_token_is_updated_and_revoked_by_either_name(call: Caller, by: str) -> None:
    """Update and revoke take the prefix as well as the full token."""
    token = call.create(description="old")
    updated = call("PUT", token_path(token[by]), {"description": "new"})
    assert updated.status_code == 200
    assert set(updated.json()) == TOKEN_KEYS
    assert [(each["token_prefix"], each["description"]) for each in call.list()] == [(token["token_prefix"], "new")]
    revoked = call("DELETE", token_path(token[by]))
    assert (revoked.status_code, list(revoked.json())) == (200, ["message"])
    assert call.list() == []


def test_full_token_has_to_be_right_to_the_end(call: Caller) -> None:
    """A prefix with a wrong rest names no token."""
    full_token = call.create()["full_token"]
    assert call("DELETE", token_path(full_token[:-1])).status_code == 404


@pytest.mark.parametrize("name", ["nosuchprefix", "%FF", "a" * 400, "..%2F..%2Fme"])
def test_unknown_token_is_not_found(call: Caller, name: str) -> None:
    """An unknown prefix is a 404 that does not repeat it."""
    for method, body in (("PUT", {"description": "x"}), ("DELETE", None)):
        response = call(method, f"/v1/access_token/{name}", body)
        assert (response.status_code, response.json()) == (404, error(404, "Access token not found"))


@pytest.mark.parametrize("scheme", ["aivenv1", "Bearer", "AIVENV1", "bearer"])
def test_either_scheme_authenticates(emulator: Emulator, scheme: str) -> None:
    """A credential is taken after `aivenv1` as well as after `Bearer`."""
    headers = {"Authorization": f"{scheme} {emulator.token}"}
    assert requests.get(f"{emulator.url}/v1/me", headers=headers, timeout=10).status_code == 200


@pytest.mark.parametrize("header", [None, "", "aivenv1", "aivenv1 ", "Basic abc", "abc"])
def test_header_that_is_none_is_invalid(emulator: Emulator, header: str | None) -> None:
    """A missing or malformed header is `Invalid token`."""
    headers = {} if header is None else {"Authorization": header}
    response = requests.get(f"{emulator.url}/v1/me", headers=headers, timeout=10)
    assert (response.status_code, response.json()) == (401, error(401, "Invalid token"))


def test_unknown_revoked_and_expired_credentials_are_told_alike(emulator: Emulator, call: Caller) -> None:
    """A credential that is not valid is a missing db token, whatever became of it."""
    expired = emulator.issue_token(max_age_seconds=5)
    revoked = emulator.issue_token()
    call("DELETE", token_path(revoked))
    emulator.clock_offset = 10
    for token in (expired, revoked, "never-was", "\xff"):
        caller = Caller(emulator, token)
        response = caller("GET", "/v1/me")
        caller.close()
        assert (response.status_code, response.json()) == (401, EXPIRED)


def test_authentication_comes_before_the_body(emulator: Emulator) -> None:
    """Without a credential nobody learns what is wrong with the body."""
    response = requests.post(f"{emulator.url}/v1/access_token", data=b"{", timeout=10)
    assert response.status_code == 401


@pytest.mark.parametrize(
    ("fields", "faulty"),
    [
        ({"description": None}, ["description"]),
        ({"description": ""}, ["description"]),
        ({"description": "x" * 1001}, ["description"]),
        ({"description": 1}, ["description"]),
        ({"description": "half a pair: \ud800"}, ["description"]),
        ({"max_age_seconds": 599}, ["max_age_seconds"]),
        ({"max_age_seconds": 315360001}, ["max_age_seconds"]),
        ({"max_age_seconds": "3600"}, ["max_age_seconds"]),
        ({"max_age_seconds": True}, ["max_age_seconds"]),
        ({"max_age_seconds": float("nan")}, ["max_age_seconds"]),
        ({"extend_when_used": 1}, ["extend_when_used"]),
        ({"extend_when_used": None}, ["extend_when_used"]),
        ({"ip_allowlist": "10.0.0.0/8"}, ["ip_allowlist"]),
        ({"ip_allowlist": ["10.0.0.0/33"]}, ["ip_allowlist"]),
        ({"ip_allowlist": [1]}, ["ip_allowlist"]),
        ({"ip_allowlist": ["10.0.0.0/8"] * 101}, ["ip_allowlist"]),
        ({"scopes": ["user:read"] * 101}, ["scopes"]),
        ({"scopes": [None]}, ["scopes"]),
        ({"description": "", "max_age_seconds": 1, "scopes": {}}, ["description", "max_age_seconds", "scopes"]),
    ],
)
def test_bad_fields_are_refused_all_at_once(call: Caller, fields: dict[str, object], faulty: list[str]) -> None:
    """Each field out of its limits is named by a 400, and nothing is made."""
    response = call("POST", "/v1/access_token", data=json.dumps({"description": "d", **fields}))
    errors = response.json()["errors"]
    assert response.status_code == 400
    assert [each["message"].partition(": ")[0] for each in errors] == [f"Invalid input for {field}" for field in faulty]
    assert {each["status"] for each in errors} == {400}
    assert response.json()["message"] == errors[0]["message"]
    assert call.list() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"description": "x"},
        {"description": "ä" * 1000},
        {"max_age_seconds": 600},
        {"max_age_seconds": 600.5},
        {"max_age_seconds": 315360000},
        {"ip_allowlist": ["10.0.0.0/8"] * 100},
        {"ip_allowlist": ["10.0.0.1"]},
        {"scopes": ["x"] * 100},
    ],
)
def test_values_at_the_limits_are_taken(call: Caller, fields: dict[str, object]) -> None:
    """The limits themselves are within the limits."""
    assert fields.items() <= call.create(**fields).items()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 100_000])
def test_body_that_is_no_object_is_refused(call: Caller, body: bytes) -> None:
    """A body that is not a JSON object is a 400 in the service's shape."""
    token = call.create()
    for method, path in (("POST", "/v1/access_token"), ("PUT", token_path(token["token_prefix"]))):
        response = call(method, path, data=body)
        assert response.status_code == 400
        assert response.json()["message"].startswith("Invalid input for body: ")


def test_oversized_body_is_refused_in_shape(call: Caller) -> None:
    """A body of megabytes is an error in the service's shape too."""
    response = call("POST", "/v1/access_token", {"description": "x" * 2_000_000})
    assert response.status_code == 413
    assert response.json()["errors"][0]["status"] == 413


def test_unknown_route_and_wrong_method_are_errors_in_shape(call: Caller) -> None:
    """What the API does not have is answered in the shape of its errors."""
    assert call("GET", "/v1/nothing").json() == error(404, "Not Found")
    response = call("PATCH", "/v1/me")
    assert (response.status_code, response.json()) == (405, error(405, "Method Not Allowed"))
    assert "GET" in response.headers["Allow"]


def test_failure_of_the_emulator_itself_is_in_shape(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a mistake of the emulator's is JSON, and tells nothing of what was sent."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(Store, "tokens", fail)
    response = call("GET", "/v1/access_token")
    assert (response.status_code, response.json()) == (500, error(500, "The emulator failed: ZeroDivisionError"))


def test_server_that_cannot_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong in the server's thread while it starts is raised where it was started."""

    async def fail(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(web.AppRunner, "setup", fail)
    with pytest.raises(ZeroDivisionError), Emulator():
        pass


def test_query_is_ignored(call: Caller) -> None:
    """`?limit=999`, as the Go clients send, changes nothing."""
    call.create()
    call.create()
    assert len(call("GET", "/v1/access_token?limit=1&page=7").json()["tokens"]) == 3


def test_only_the_credential_of_the_request_is_active(emulator: Emulator, call: Caller) -> None:
    """`currently_active` is true on the one token that made the request."""
    token = call.create()
    caller = Caller(emulator, token["full_token"])
    listed = caller("GET", "/v1/access_token").json()["tokens"]
    caller.close()
    assert [each["token_prefix"] for each in listed if each["currently_active"]] == [token["token_prefix"]]


def test_first_token_is_a_login_session(emulator: Emulator, call: Caller) -> None:
    """The emulator's own token was not made by hand and never expires."""
    (session,) = call("GET", "/v1/access_token").json()["tokens"]
    assert session["created_manually"] is False
    assert session["expiry_time"] is None
    assert session["token_prefix"] == emulator.token[:12]


def test_use_is_noted(emulator: Emulator, call: Caller) -> None:
    """A request leaves its time, address and user agent on its credential."""
    token = call.create()
    caller = Caller(emulator, token["full_token"], "aiven-client/4.18.0 (x)")
    before = emulator.now()
    caller("GET", "/v1/me")
    caller.close()
    (seen,) = call.list()
    used = datetime.fromisoformat(seen["last_used_time"].replace("Z", "+00:00")).timestamp()
    assert before <= used <= emulator.now()
    assert seen["last_ip"] == "127.0.0.1"
    assert seen["last_user_agent"] == "aiven-client/4.18.0 (x)"
    assert seen["last_user_agent_human_readable"] == "aiven-client 4.18.0"


def test_expired_token_vanishes(emulator: Emulator, call: Caller) -> None:
    """A token past its age is in no list, and can be neither updated nor revoked."""
    path = token_path(call.create(max_age_seconds=600)["token_prefix"])
    emulator.clock_offset = 599
    assert len(call.list()) == 1
    emulator.clock_offset = 601
    assert call.list() == []
    assert call("PUT", path, {"description": "x"}).status_code == 404
    assert call("DELETE", path).status_code == 404


def test_use_moves_the_expiry_of_a_token_that_is_extended(emulator: Emulator, call: Caller) -> None:
    """With `extend_when_used` a token lives on as long as it is used within its age."""
    caller = Caller(emulator, call.create(max_age_seconds=600, extend_when_used=True)["full_token"])
    for offset in (500, 1000, 1500):
        emulator.clock_offset = offset
        (seen,) = caller.list()
        assert (
            seen["expiry_time"][:-1]
            == (datetime.fromisoformat(seen["last_used_time"][:-1]) + timedelta(seconds=600)).isoformat()
        )
    emulator.clock_offset = 2101
    assert caller("GET", "/v1/me").status_code == 401
    caller.close()


def test_injected_clock_rules() -> None:
    """The times are those of the clock that was given, written without a fraction where there is none."""
    with Emulator(clock=lambda: 1_000_000.0) as emulator:
        caller = Caller(emulator)
        token = caller.create(max_age_seconds=3600)
        caller.close()
    assert (token["create_time"], token["expiry_time"]) == ("1970-01-12T13:46:40Z", "1970-01-12T14:46:40Z")


def test_answers_are_dated_by_the_clock() -> None:
    """Every answer, an error too, tells the emulator's time as HTTP does, and follows where the clock is moved."""
    with Emulator(clock=lambda: 1_000_000.0) as emulator:
        caller = Caller(emulator)
        for offset in (0, 86400, -3600):
            emulator.clock_offset = offset
            date = formatdate(1_000_000 + offset, usegmt=True)
            paths = ("/v1/me", "/v1/access_token", token_path("none"), "/v1/nothing", "/emulator/clock")
            assert {caller("GET", path).headers["Date"] for path in paths} == {date}
        emulator.faults = [{"kind": "status", "status": 500}]
        refused = caller("GET", "/v1/me")
        assert (refused.status_code, refused.headers["Date"]) == (500, date)
        caller.close()


def test_allowlist_is_enforced(emulator: Emulator, call: Caller) -> None:
    """A credential works only from the networks that it allows, and a blocked call is no use of it."""
    here = Caller(emulator, call.create(ip_allowlist=["2001:db8::/32", "127.0.0.0/8"])["full_token"])
    elsewhere = Caller(emulator, call.create(ip_allowlist=["10.0.0.0/8"])["full_token"])
    assert here("GET", "/v1/me").status_code == 200
    blocked = elsewhere("GET", "/v1/me")
    assert blocked.status_code == 403
    assert blocked.json()["errors"][0]["error_code"] == "api_client_ip_allowlist_blocks_caller"
    assert [token["last_used_time"] is None for token in call.list()] == [False, True]
    here.close()
    elsewhere.close()


def test_quota_refuses_one_too_many() -> None:
    """One token over the quota is refused by a message that names the limit; a revocation makes room."""
    with Emulator(quota=2) as emulator:
        caller = Caller(emulator)
        first = caller.create()
        caller.create()
        refused = caller("POST", "/v1/access_token", {"description": "d"})
        assert refused.status_code == 409
        assert "2" in refused.json()["message"]
        caller("DELETE", token_path(first["token_prefix"]))
        caller.create()
        caller.close()


def test_quota_holds_under_concurrent_requests() -> None:
    """Many creations at the same time do not get past the quota."""
    with Emulator(quota=5) as emulator:
        statuses: list[int] = []

        def create() -> None:
            caller = Caller(emulator)
            statuses.append(caller("POST", "/v1/access_token", {"description": "d"}).status_code)
            caller.close()

        threads = [threading.Thread(target=create) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200] * 5 + [409] * 15


def test_other_users_tokens_are_invisible(emulator: Emulator, call: Caller) -> None:
    """Another account's tokens are in no list, and are not found by either name."""
    theirs = emulator.issue_token(user="other@example.org")
    assert call.list() == []
    for name in (theirs, theirs[:12]):
        assert call("PUT", token_path(name), {"description": "x"}).status_code == 404
        assert call("DELETE", token_path(name)).status_code == 404
    caller = Caller(emulator, theirs)
    me, other = call("GET", "/v1/me").json()["user"], caller("GET", "/v1/me").json()["user"]
    caller.close()
    assert (me["user"], other["user"]) == ("demo@example.org", "other@example.org")
    assert me["user_id"] != other["user_id"]


def test_me_tells_who_is_asking(call: Caller) -> None:
    """The user object has the keys that clients read."""
    user = call("GET", "/v1/me").json()["user"]
    assert {
        "user",
        "user_id",
        "real_name",
        "auth",
        "projects",
        "project_membership",
        "project_memberships",
        "state",
        "invitations",
        "tenant",
        "token_validity_begin",
    } <= set(user)
    assert user["token_validity_begin"] is None


def test_expire_tokens_ends_all_of_the_user_and_no_other(emulator: Emulator, call: Caller) -> None:
    """Every token of the user stops working, the one that asked included; those of others live on."""
    other = Caller(emulator, emulator.issue_token(user="other@example.org"))
    mine = Caller(emulator, call.create()["full_token"])
    answer = call("POST", "/v1/me/expire_tokens")
    assert (answer.status_code, list(answer.json())) == (200, ["message"])
    assert [caller("GET", "/v1/me").status_code for caller in (call, mine, other)] == [401, 401, 200]
    again = Caller(emulator, emulator.issue_token())
    assert again("GET", "/v1/me").json()["user"]["token_validity_begin"] is not None
    for caller in (other, mine, again):
        caller.close()


def test_only_hashes_are_stored(tmp_path: Path) -> None:
    """No part of a full token beyond its prefix is in the database file or beside it, its SHA-256 is."""
    with Emulator(tmp_path / "db") as emulator:
        caller = Caller(emulator)
        tokens = [emulator.token, caller.create()["full_token"]]
        caller("PUT", token_path(tokens[1]), {"description": "x"})
        caller.close()
        running = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for content in (running, (tmp_path / "db").read_bytes()):
        for token in tokens:
            assert token[12:28].encode() not in content
            assert hashlib.sha256(token.encode()).hexdigest().encode() in content


def test_repr_and_journal_hide_the_token(emulator: Emulator, call: Caller) -> None:
    """Neither the emulator's repr nor its record of requests holds a credential, even one sent as a path."""
    full_token = call.create()["full_token"]
    call("DELETE", token_path(full_token))
    call("DELETE", f"/v1/access_token/{full_token}")
    shown = repr(emulator) + repr(emulator.requests)
    assert full_token[:12] in shown
    assert full_token[12:20] not in shown
    assert emulator.token[12:20] not in shown


def test_requests_are_recorded(emulator: Emulator, call: Caller) -> None:
    """Each request is noted with what a test needs to count them, and their connections."""
    call("GET", "/v1/me?x=1")
    call("DELETE", token_path("a+b/c"))
    requests.get(f"{emulator.url}/v1/me", headers={"User-Agent": "other/1"}, timeout=10)
    first, second, third = emulator.requests
    assert (first.method, first.path, first.status, first.user_agent) == ("GET", "/v1/me", 200, "test/1")
    assert (second.method, second.path, second.status) == ("DELETE", "/v1/access_token/a+b/c", 404)
    assert (third.status, third.user_agent) == (401, "other/1")
    assert first.peer_port == second.peer_port != third.peer_port
    emulator.clear_requests()
    assert emulator.requests == []


def test_requests_are_counted_over_http(emulator: Emulator, call: Caller) -> None:
    """`/emulator/requests` tells the same, counts no control request, and can be cleared."""
    call("GET", "/v1/me")
    told = call("GET", "/emulator/requests").json()
    assert told["count"] == 1
    assert told["requests"][0]["path"] == "/v1/me"
    assert call("DELETE", "/emulator/requests").json() == {"count": 0, "requests": []}
    assert emulator.requests == []


def test_clock_is_set_over_http(emulator: Emulator, call: Caller) -> None:
    """`/emulator/clock` reads and moves the clock without a credential."""
    url = f"{emulator.url}/emulator/clock"
    assert requests.get(url, timeout=10).json()["offset_seconds"] == 0
    assert requests.put(url, json={"offset_seconds": 86400}, timeout=10).json()["offset_seconds"] == 86400
    assert emulator.clock_offset == 86400
    ahead = datetime.fromisoformat(call.create()["create_time"].replace("Z", "+00:00")).timestamp() - time.time()
    assert 86390 < ahead < 86410


@pytest.mark.parametrize("body", ["{}", "[]", "x", '{"offset_seconds": "1"}', '{"offset_seconds": NaN}', "1e99"])
def test_clock_refuses_what_is_no_offset(emulator: Emulator, body: str) -> None:
    """An offset that is no number, or more than a century, is a 400."""
    response = requests.put(f"{emulator.url}/emulator/clock", data=body, timeout=10)
    assert response.status_code == 400
    with pytest.raises(ValueError, match="offset"):
        emulator.clock_offset = 1e99


def test_clock_offset_outlives_the_emulator(tmp_path: Path) -> None:
    """The offset is kept in the database."""
    with Emulator(tmp_path / "db") as emulator:
        emulator.clock_offset = -3600
    with Emulator(tmp_path / "db") as emulator:
        assert emulator.clock_offset == -3600


@pytest.mark.parametrize("path", ["/v1/me", "/emulator/clock", "/nothing"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "10.0.0.1"},
        {"Host": "["},
        {"Host": ""},
    ],
)
def test_browsers_and_other_names_are_refused(emulator: Emulator, path: str, headers: dict[str, str]) -> None:
    """A request with an Origin, or for a host that is not loopback, is refused wherever it goes."""
    response = requests.get(emulator.url + path, headers=headers, timeout=10)
    assert response.status_code in ({400, 403} if headers.get("Host") in {"", "["} else {403})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1234", "[::1]:80", "127.9.9.9"])
def test_names_of_this_machine_are_taken(emulator: Emulator, host: str) -> None:
    """Any name of loopback will do, with or without a port."""
    assert requests.get(f"{emulator.url}/emulator/clock", headers={"Host": host}, timeout=10).status_code == 200


def test_taken_port_is_one_clear_line(emulator: Emulator) -> None:
    """A port that is in use is an `EmulatorError` that names it."""
    port = int(emulator.url.rpartition(":")[2])
    with pytest.raises(EmulatorError, match=f"127.0.0.1:{port}"), Emulator(port=port):
        pass


def test_stopped_emulator_says_so() -> None:
    """Outside its `with` an emulator has no URL and cannot issue tokens, and it can be started again."""
    emulator = Emulator()
    for _ in range(2):
        with emulator:
            assert requests.get(f"{emulator.url}/emulator/clock", timeout=10).status_code == 200
        with pytest.raises(RuntimeError, match="not running"):
            _ = emulator.url
        with pytest.raises(RuntimeError, match="not running"):
            emulator.issue_token()


def test_emulators_on_one_file_share_it(tmp_path: Path) -> None:
    """Two emulators on one file are one account, seen from two ports."""
    with Emulator(tmp_path / "db") as one, Emulator(tmp_path / "db") as two:
        callers = [Caller(one), Caller(two, one.token)]
        made = [callers[number % 2].create()["token_prefix"] for number in range(10)]
        assert {token["token_prefix"] for token in callers[0].list()} == set(made)
        assert {token["token_prefix"] for token in callers[1].list()} == set(made)
        for caller in callers:
            caller.close()


def test_session_can_be_ended(emulator: Emulator, call: Caller) -> None:
    """After `end_session` the first token is a revoked one."""
    emulator.end_session()
    assert call("GET", "/v1/me").status_code == 401


def test_start_is_quick() -> None:
    """Starting and stopping takes well under a tenth of a second."""

    def took() -> float:
        begin = time.perf_counter()
        with Emulator():
            pass
        return time.perf_counter() - begin

    assert min(took() for _ in range(5)) < 0.1


def test_emulator_knows_nothing_of_the_client() -> None:
    """Importing the emulator brings in no other module of the package, so it cannot agree with it by construction."""
    program = (
        "import sys, pulumi_avn_token.emulator;"
        "print(*(name for name in sys.modules if name.startswith('pulumi_avn_token')))"
    )
    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "pulumi_avn_token.emulator.server" in shown
    assert [name for name in shown if not name.startswith("pulumi_avn_token.emulator")] == ["pulumi_avn_token"]
