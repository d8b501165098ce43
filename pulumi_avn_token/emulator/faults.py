"""What can be made to go wrong between a caller and the API, and for which requests."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

Kind = Literal[
    "latency",
    "status",
    "error",
    "html",
    "body",
    "empty",
    "fields",
    "stale_list",
    "flood",
    "truncated",
    "drop_before",
    "drop_during",
    "drop_after",
]
Call = Literal["create", "list", "update", "revoke", "expire_tokens", "me"]
RetryAfter = Literal["seconds", "http-date"]

_STATUSES = (401, 403, 409, 429, 500, 502, 503, 504)
_CALLS: dict[str, tuple[str, str]] = {
    "create": ("POST", "/v1/access_token"),
    "list": ("GET", "/v1/access_token"),
    "update": ("PUT", "/v1/access_token/"),
    "revoke": ("DELETE", "/v1/access_token/"),
    "expire_tokens": ("POST", "/v1/me/expire_tokens"),
    "me": ("GET", "/v1/me"),
}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One rule: what goes wrong, and for which requests; a bad value raises `ValueError`."""

    kind: Kind
    """`latency`: the change is made at once, and answered late; other faults may come on top.

    Instead of the answer, the change not made unless `after_change` says so,
    `status`: another status. `error`: status 200, and a body that says that it is an error. `html`: a page with status
    200. `body`: any text with status 200. `flood`: a body with status 200 that seems to have no end.

    The change made, and the answer spoiled,
    `empty`: it has no body. `fields`: other fields in each token, and in the user. `stale_list`, of the list only: the
    newest tokens are not there yet. `truncated`: half of it is sent, then the connection ends.

    The connection reset (an RST, where `truncated` ends it in good order),
    `drop_before`: no change is made. `drop_during`: when the change is made and half the answer sent.
    `drop_after`: when the change is made.
    """

    method: str | None = None
    """Only requests with this method."""
    path_contains: str | None = None
    """Only requests whose decoded path holds this."""
    call: Call | None = None
    """Only this call of the API."""
    after: int = 0
    """How many requests that fit are let through first."""
    times: int | None = None
    """How many it strikes. None: all that fit."""

    after_change: bool = False
    """For `status`, `error`, `html`, `body` and `flood`: whether the change was made all the same."""
    seconds: float = 1.0
    """For `latency`: how long; a caller that gives up meanwhile does not undo the change. For `stale_list`: how old a
    token must be to be listed, by the emulator's clock."""
    status: int = 503
    """For `status`: 401, 403, 409, 429, 500, 502, 503 or 504. The last three are pages of a proxy, unless there is a
    `message` or an `error_code`."""
    error_code: str | None = None
    """For `status` and `error`: Aiven's code. None: there is none."""
    message: str | None = None
    """For `status` and `error`: Aiven's words. None: those that go with the status."""
    retry_after: RetryAfter | None = None
    """For `status`: how `Retry-After` is written. None: not sent."""
    retry_after_seconds: int = 28
    """For `status`: what `Retry-After`, and the message of 429, ask for."""
    body: str = ""
    """For `body`: the text; half a surrogate pair in it is sent as UTF-8 does not allow it."""
    fields: Mapping[str, object] = field(default_factory=dict, hash=False)
    """For `fields`: what is laid over the true ones."""
    without: Sequence[str] = field(default=(), hash=False)
    """For `fields`: the names of those that are left out."""
    bytes: int = 100_000_000
    """For `flood`: how many. They end earlier when the caller goes away."""

    def __post_init__(self) -> None:
        calls = ("list",) if self.kind == "stale_list" else tuple(_CALLS)
        _require(self.kind in get_args(Kind), "kind", f"one of {', '.join(get_args(Kind))}")
        _require(self.call in (None, *calls), "call", f"one of {', '.join(calls)}")
        _require(self.status in _STATUSES, "status", f"one of {', '.join(map(str, _STATUSES))}")
        _require(self.retry_after in (None, *get_args(RetryAfter)), "retry_after", "seconds, http-date or null")
        for name in ("method", "path_contains", "error_code", "message"):
            _require(isinstance(getattr(self, name), (str, type(None))), name, "a string or null")
        for name in ("after", "retry_after_seconds", "bytes"):
            _require(_is_count(getattr(self, name)), name, "a whole number from 0")
        _require(self.times is None or _is_count(self.times), "times", "a whole number from 0 or null")
        _require(isinstance(self.seconds, (int, float)) and self.seconds >= 0, "seconds", "a number from 0")
        _require(isinstance(self.after_change, bool), "after_change", "true or false")
        _require(isinstance(self.body, str), "body", "a string")
        _require(isinstance(self.fields, dict) and _is_json(self.fields), "fields", "a mapping of names to JSON values")
        _require(
            isinstance(self.without, (list, tuple)) and all(isinstance(name, str) for name in self.without),
            "without",
            "a list of names",
        )

    def fits(self, method: str, path: str) -> bool:
        """Tell whether the rule is about such a request; `path` is decoded."""
        call = "list" if self.kind == "stale_list" else self.call
        call_method, call_path = _CALLS[call] if call else (method, path)
        return (
            (self.method or method).upper() == method == call_method
            and (self.path_contains or "") in path
            and (path.startswith(call_path) if call_path.endswith("/") else path == call_path)
        )


def _require(holds: bool, field: str, demand: str) -> None:  # noqa: FBT001
    if not holds:
        raise ValueError(f"{field} must be {demand}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
