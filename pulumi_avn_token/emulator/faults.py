"""What can be made to go wrong between a caller and the API."""

import asyncio
import email.utils
import time
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, get_args

from aiohttp import web
from aiohttp.typedefs import Handler

from pulumi_avn_token.emulator.answers import refused

Kind = Literal["latency", "status", "html", "truncated", "empty", "drop_before", "drop_after"]
Call = Literal["create", "list", "update", "revoke", "expire_tokens", "me"]
RetryAfter = Literal["seconds", "http-date"]

_API_PATH = "/v1/"
_STATUSES = (429, 500, 502, 503, 504)
_PROXY_STATUSES = frozenset({502, 503, 504})
_AFTER_CHANGE = frozenset({"truncated", "empty", "drop_after"})
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
    `status`: another status instead of the answer. `html`: a page with status 200 instead of it.
    `truncated`: the change is made, half the answer is sent, then the connection ends.
    `empty`: the change is made, and the answer has no body.
    `drop_before`: the connection ends, and no change is made. `drop_after`: it ends when the change is made.
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

    seconds: float = 1.0
    """For `latency`: how long. A caller that gives up meanwhile does not undo the change."""
    status: int = 503
    """For `status`: 429, 500, 502, 503 or 504; the last three are pages of a proxy."""
    retry_after: RetryAfter | None = None
    """For `status`: how `Retry-After` is written. None: not sent."""
    retry_after_seconds: int = 28
    """For `status`: what `Retry-After`, and the message of 429, ask for."""
    after_change: bool = False
    """For `status` and `html`: whether the change was made all the same."""

    def __post_init__(self) -> None:
        _require(self.kind in get_args(Kind), "kind", f"one of {', '.join(get_args(Kind))}")
        _require(self.call is None or self.call in tuple(_CALLS), "call", f"one of {', '.join(_CALLS)}")
        _require(self.status in _STATUSES, "status", f"one of {', '.join(map(str, _STATUSES))}")
        _require(self.retry_after in (None, *get_args(RetryAfter)), "retry_after", "seconds, http-date or null")
        for name in ("method", "path_contains"):
            _require(isinstance(getattr(self, name), (str, type(None))), name, "a string or null")
        for name in ("after", "retry_after_seconds"):
            _require(_is_count(getattr(self, name)), name, "a whole number from 0")
        _require(self.times is None or _is_count(self.times), "times", "a whole number from 0 or null")
        _require(isinstance(self.seconds, (int, float)) and self.seconds >= 0, "seconds", "a number from 0")
        _require(isinstance(self.after_change, bool), "after_change", "true or false")

    def fits(self, method: str, path: str) -> bool:
        """Tell whether the rule is about such a request; `path` is decoded."""
        call_method, call_path = _CALLS[self.call] if self.call else (method, path)
        return (
            (self.method or method).upper() == method == call_method
            and (self.path_contains or "") in path
            and (path.startswith(call_path) if call_path.endswith("/") else path == call_path)
        )


class Dropped(web.Response):
    """Stands for the answer that a dropped connection never got."""


class Faults:
    """The rules in force, and how often each was met."""

    def __init__(self) -> None:
        self._rules: list[_Rule] = []

    def set(self, faults: Iterable[Fault]) -> None:
        """Put these rules in force instead of all before; counting begins anew."""
        self._rules = [_Rule(fault) for fault in faults]

    def get(self) -> list[Fault]:
        """List the rules, those that struck for the last time included."""
        return [rule.fault for rule in self._rules]

    @web.middleware
    async def strike(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let go wrong what the rules say: all latencies that fit, and of the others the first."""
        due = []
        if request.path.startswith(_API_PATH):
            due = [rule for rule in self._rules if rule.meets(request)]
        latencies = [rule.strike() for rule in due if rule.fault.kind == "latency"]
        fault = next((rule.strike() for rule in due if rule.fault.kind != "latency"), None)
        change = fault is None or fault.after_change or fault.kind in _AFTER_CHANGE
        answer = await handler(request) if change else web.Response()
        await asyncio.sleep(sum(latency.seconds for latency in latencies))
        return await _spoiled(fault, request, answer) if fault else answer


class _Rule:
    """A fault with its counts."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._met = 0
        self._struck = 0

    def meets(self, request: web.Request) -> bool:
        """Count a request that fits, and tell whether it is to be struck."""
        if not self.fault.fits(request.method, request.path):
            return False
        self._met += 1
        return self._met > self.fault.after and (self.fault.times is None or self._struck < self.fault.times)

    def strike(self) -> Fault:
        self._struck += 1
        return self.fault


async def _spoiled(fault: Fault, request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    """Spoil an answer; it is a blank where no change was to be made."""
    if fault.kind == "status":
        return _status(fault)
    if fault.kind == "html":
        return _page("Welcome", HTTPStatus.OK)
    if fault.kind == "empty":
        return web.Response(status=answer.status, content_type="application/json")
    if fault.kind == "truncated":
        return await _half(request, answer)
    if request.transport:
        request.transport.abort()
    return Dropped()


def _status(fault: Fault) -> web.Response:
    status = HTTPStatus(fault.status)
    if status in _PROXY_STATUSES:
        response = _page(f"{status.value} {status.phrase}", status)
    elif status == HTTPStatus.TOO_MANY_REQUESTS:
        response = refused(
            status,
            "The user has sent too many requests in a given amount of time: Rate limit 120 exceeded"
            f" - try again in {fault.retry_after_seconds}s",
        )
    else:
        response = refused(status, "Internal server error")
    if fault.retry_after == "seconds":
        response.headers["Retry-After"] = str(fault.retry_after_seconds)
    elif fault.retry_after == "http-date":
        moment = time.time() + fault.retry_after_seconds  # the caller's clock is the machine's, not the emulator's
        response.headers["Retry-After"] = email.utils.formatdate(moment, usegmt=True)
    return response


def _page(title: str, status: HTTPStatus) -> web.Response:
    """Make a page such as a proxy on the way puts in the answer's place."""
    text = f"<html>\n<head><title>{title}</title></head>\n<body><center><h1>{title}</h1></center></body>\n</html>\n"
    return web.Response(text=text, status=status, content_type="text/html")


async def _half(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    """Announce the whole answer, send half of it, and end the connection."""
    whole = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""
    half = web.StreamResponse(status=answer.status, headers={"Content-Type": "application/json"})
    half.content_length = len(whole)
    await half.prepare(request)
    await half.write(whole[: len(whole) // 2])
    if request.transport:
        request.transport.close()
    return half


def _require(holds: bool, field: str, demand: str) -> None:  # noqa: FBT001
    if not holds:
        raise ValueError(f"{field} must be {demand}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
