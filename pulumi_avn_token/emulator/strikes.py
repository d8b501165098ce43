"""How the rules in force strike: which is due, and what it makes of an answer."""

import asyncio
import email.utils
import json
import socket
import struct
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from pulumi_avn_token.emulator.answers import refused
from pulumi_avn_token.emulator.faults import Fault

_API_PATH = "/v1/"
_AFTER_CHANGE = frozenset({"empty", "fields", "stale_list", "truncated", "drop_during", "drop_after"})
_PROXY_STATUSES = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
_WORDS = {
    HTTPStatus.UNAUTHORIZED: "Missing (expired) db token",
    HTTPStatus.CONFLICT: "A user can have at most 10 access tokens",
    HTTPStatus.TOO_MANY_REQUESTS: "The user has sent too many requests in a given amount of time:"
    " Rate limit 120 exceeded - try again in {seconds}s",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Internal server error",
}
_JSON = "application/json"
_CHUNK_BYTES = 65_536
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER, for no time at all


class Dropped(web.Response):
    """Stands for the answer that a dropped connection never got."""


class Faults:
    """The rules in force, and how often each was met; `now` is the emulator's time in seconds since the epoch."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
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
        now = self._now()
        answer = await handler(request) if change else web.Response()
        await asyncio.sleep(sum(latency.seconds for latency in latencies))
        return await _spoiled(fault, request, answer, now) if fault else answer


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


async def _spoiled(fault: Fault, request: web.Request, answer: web.StreamResponse, now: float) -> web.StreamResponse:
    """Spoil an answer; it is a blank where no change was to be made."""
    if fault.kind in _REPLACED:
        return _REPLACED[fault.kind](fault)
    if fault.kind == "empty":
        return web.Response(status=answer.status, content_type=_JSON)
    if fault.kind in _EDITED:
        return _EDITED[fault.kind](fault, answer, now)
    if fault.kind == "flood":
        return await _flood(request, fault.bytes)
    sent = await _half(request, answer) if fault.kind in {"truncated", "drop_during"} else Dropped()
    if request.transport and fault.kind == "truncated":
        request.transport.close()
    elif request.transport:
        _reset(request.transport)
    return sent


def _status(fault: Fault) -> web.Response:
    status = HTTPStatus(fault.status)
    if status in _PROXY_STATUSES and fault.message is None and fault.error_code is None:
        response = _page(f"{status.value} {status.phrase}", status)
    else:
        response = refused(status, _words(fault, status), code=fault.error_code)
    if fault.retry_after == "seconds":
        response.headers["Retry-After"] = str(fault.retry_after_seconds)
    elif fault.retry_after == "http-date":
        moment = time.time() + fault.retry_after_seconds  # the caller's clock is the machine's, not the emulator's
        response.headers["Retry-After"] = email.utils.formatdate(moment, usegmt=True)
    return response


def _error(fault: Fault) -> web.Response:
    code = {"error_code": fault.error_code} if fault.error_code else {}
    return web.json_response({"error": True, "message": _words(fault, HTTPStatus.INTERNAL_SERVER_ERROR), **code})


def _words(fault: Fault, status: HTTPStatus) -> str:
    if fault.message is not None:
        return fault.message
    return _WORDS.get(status, status.phrase).format(seconds=fault.retry_after_seconds)


def _body(fault: Fault) -> web.Response:
    return web.Response(body=fault.body.encode("utf-8", "surrogatepass"), content_type=_JSON)


def _page(title: str, status: HTTPStatus) -> web.Response:
    """Make a page such as a proxy on the way puts in the answer's place."""
    text = f"<html>\n<head><title>{title}</title></head>\n<body><center><h1>{title}</h1></center></body>\n</html>\n"
    return web.Response(text=text, status=status, content_type="text/html")


def _overlaid(fault: Fault, answer: web.StreamResponse, _: float) -> web.StreamResponse:
    """Change the fields of the tokens, or of the user, that a true answer holds; any other answer stays as it is."""
    told = json.loads(_whole(answer))
    if "message" in told:
        return answer
    for described in told.get("tokens", [told.get("user", told)]):
        described.update(fault.fields)
        for name in fault.without:
            described.pop(name, None)
    return web.json_response(told)


def _stale(fault: Fault, answer: web.StreamResponse, now: float) -> web.StreamResponse:
    """Leave the newest tokens out of a list."""
    told = json.loads(_whole(answer))
    if "tokens" not in told:
        return answer
    told["tokens"] = [token for token in told["tokens"] if now - _seconds(token["create_time"]) >= fault.seconds]
    return web.json_response(told)


def _seconds(iso: str) -> float:
    return datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp()


_REPLACED: dict[str, Callable[[Fault], web.Response]] = {
    "status": _status,
    "error": _error,
    "html": lambda _: _page("Welcome", HTTPStatus.OK),
    "body": _body,
}
_EDITED = {"fields": _overlaid, "stale_list": _stale}


async def _flood(request: web.Request, size: int) -> web.StreamResponse:
    """Send so many blanks, in which JSON may begin at any moment."""
    chunks = (b" " * min(_CHUNK_BYTES, size - at) for at in range(0, size, _CHUNK_BYTES))
    return await _sent(request, web.StreamResponse(headers={"Content-Type": _JSON}), chunks)


async def _half(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    """Announce the whole answer, and send half of it."""
    whole = _whole(answer)
    half = web.StreamResponse(status=answer.status, headers={"Content-Type": _JSON})
    half.content_length = len(whole)
    return await _sent(request, half, [whole[: len(whole) // 2]])


async def _sent(request: web.Request, answer: web.StreamResponse, chunks: Iterable[bytes]) -> web.StreamResponse:
    """Send the beginning of an answer, as far as its caller is there to take it."""
    transport = request.transport
    try:
        await answer.prepare(request)
        for chunk in chunks:
            await answer.write(chunk)
    except ConnectionError:
        pass
    except asyncio.CancelledError:
        if transport:
            transport.abort()  # the emulator ends; what its caller has not taken would keep the socket open
        raise
    return answer


def _whole(answer: web.StreamResponse) -> bytes:
    return answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""


def _reset(transport: asyncio.Transport) -> None:
    """End a connection by an RST: for a mere abort the machine says goodbye where all has been read."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    transport.abort()
