"""The token API: what each call does, and who may make it."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from pulumi_avn_token.emulator.answers import Refusal, token_object, user_object
from pulumi_avn_token.emulator.mint import digest_of, draw_token, prefix_of
from pulumi_avn_token.emulator.store import Store, Token
from pulumi_avn_token.emulator.validation import body_object, new_description, new_token

_SCHEMES = frozenset({"aivenv1", "bearer"})


@dataclass(frozen=True)
class _Call:
    """An authenticated request."""

    request: web.Request
    body: bytes
    credential: Token
    now: float


class TokenApi:
    """The calls over a store; `now` gives seconds since the epoch."""

    def __init__(
        self, store: Store, now: Callable[[], float], *, quota: int | None, default_max_age_seconds: float | None
    ) -> None:
        self._store = store
        self._now = now
        self._quota = quota
        self._default_max_age_seconds = default_max_age_seconds

    def routes(self) -> list[web.RouteDef]:
        """List the calls by method and path."""
        return [
            web.post("/v1/access_token", self._authenticated(self._create)),
            web.get("/v1/access_token", self._authenticated(self._list)),
            web.put("/v1/access_token/{name}", self._authenticated(self._update)),
            web.delete("/v1/access_token/{name}", self._authenticated(self._revoke)),
            web.post("/v1/me/expire_tokens", self._authenticated(self._expire_all)),
            web.get("/v1/me", self._authenticated(self._me)),
        ]

    def _authenticated(self, answer: Callable[[_Call], object]) -> Handler:
        """Let only a valid credential through; from there to the answer no other request is let in between."""

        async def handler(request: web.Request) -> web.Response:
            body = await request.read()
            now = self._now()
            return web.json_response(answer(_Call(request, body, self._credential(request, now), now)))

        return handler

    def _credential(self, request: web.Request, now: float) -> Token:
        scheme, _, full_token = request.headers.get("Authorization", "").partition(" ")
        full_token = full_token.strip()
        if scheme.lower() not in _SCHEMES or not full_token:
            raise Refusal(HTTPStatus.UNAUTHORIZED, "Invalid token")
        credential = self._store.credential(digest_of(full_token), now)
        if credential and not _allowed(credential, request.remote):
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                "The caller's address is not in the token's allowlist",
                code="api_client_ip_allowlist_blocks_caller",
            )
        user_agent = request.headers.get("User-Agent", "").encode("utf-8", "replace").decode() or None
        used = credential and self._store.record_use(credential, now, request.remote, user_agent)
        if not used:
            raise Refusal(HTTPStatus.UNAUTHORIZED, "Missing (expired) db token")
        return used

    def _create(self, call: _Call) -> object:
        wanted = new_token(body_object(call.body), default_max_age_seconds=self._default_max_age_seconds)
        full_token = draw_token()
        token = self._store.add_token(
            call.credential.user,
            wanted,
            prefix=prefix_of(full_token),
            digest=digest_of(full_token),
            now=call.now,
            quota=self._quota,
        )
        if token is None:
            raise Refusal(HTTPStatus.CONFLICT, f"A user can have at most {self._quota} access tokens")
        return {**token_object(token, credential=call.credential), "full_token": full_token}

    def _list(self, call: _Call) -> object:
        tokens = self._store.tokens(call.credential.user, call.now)
        return {"tokens": [token_object(token, credential=call.credential) for token in tokens]}

    def _update(self, call: _Call) -> object:
        description = new_description(body_object(call.body))
        token = self._store.describe(call.credential.user, *_named(call), description, call.now)
        if token is None:
            raise _no_such_token()
        return token_object(token, credential=call.credential)

    def _revoke(self, call: _Call) -> object:
        if not self._store.revoke(call.credential.user, *_named(call), call.now):
            raise _no_such_token()
        return {"message": "Access token revoked"}

    def _expire_all(self, call: _Call) -> object:
        self._store.revoke_all(call.credential.user, call.now)
        return {"message": "All tokens expired"}

    def _me(self, call: _Call) -> object:
        return {"user": user_object(self._store.add_user(call.credential.user, call.now))}


def _named(call: _Call) -> tuple[str, str]:
    """Give what the path names as a prefix, and as the digest of a full token: it may be either."""
    name = call.request.match_info["name"]
    return name.encode("utf-8", "replace").decode(), digest_of(name)


def _no_such_token() -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, "Access token not found")


def _allowed(credential: Token, address: str | None) -> bool:
    if not credential.ip_allowlist:
        return True
    networks = [ipaddress.ip_network(cidr, strict=False) for cidr in credential.ip_allowlist]
    return address is not None and any(ipaddress.ip_address(address) in network for network in networks)
