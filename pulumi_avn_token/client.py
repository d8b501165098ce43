"""The token API on the wire: one method a call. The only importer of `requests` and `urllib3`.

Facts about the API: Aiven's OpenAPI description and the official CLI, `aiven-client`.
"""

from __future__ import annotations

import functools
import json
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeGuard
from urllib.parse import quote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import ConnectTimeoutError, HTTPError
from urllib3.exceptions import SSLError as UntrustedError

from pulumi_avn_token import marks
from pulumi_avn_token.errors import (
    AnswerLostError,
    ApiError,
    AuthenticationError,
    ForbiddenError,
    InvalidRequestError,
    RateLimitError,
    ServerError,
    TokenNotFoundError,
    UnexpectedAnswerError,
    UnreachableError,
)
from pulumi_avn_token.model import (
    LONGEST_PREFIX,
    PREFIX_LENGTH,
    IssuedToken,
    TokenInfo,
    TokenSpec,
    User,
    shown,
    token_info,
)
from pulumi_avn_token.retry import BACKOFF_SECONDS, REPEATABLE, TRIES_AGAIN, retries
from pulumi_avn_token.terminal import is_whole, printable

if TYPE_CHECKING:
    from pulumi_avn_token.credentials import Credential

CLOCK_TOLERANCE = timedelta(seconds=1.5)
"""An answer's Date tells whole seconds, and was on its way for a while."""

A_CENTURY = timedelta(days=36_525)
"""A clock that is further off is not believed."""

MAYBE_PROCESSED = (AnswerLostError, ServerError, UnexpectedAnswerError)
"""The errors after which a change may have been made all the same."""

CONNECT_TIMEOUT_SECONDS = 10
READ_TIMEOUT_SECONDS = 60
LARGEST_ANSWER_BYTES = 16 * 2**20
"""A list of 10,000 tokens has a third of that. More is no answer of the API, and would only cost memory."""

CONNECTIONS = 4
"""At most as many at once, and kept alive: the host of dynamic providers works with four threads."""

_BAD_CREDENTIAL = (
    AuthenticationError,
    "the credential has expired, was revoked, or is wrong ({words}); set a valid one. It came from {source}",
)
_POLICY = (ForbiddenError, "the organization's policy forbids personal tokens ({words}); ask its administrator")
_ADDRESS = (
    ForbiddenError,
    "this machine's address is not allowed ({words}); use an allowed one, or another credential. It is from {source}",
)
_SERVER_ERROR = (ServerError, "an error on Aiven's side ({words}); run the same command again later")
_NOT_TAKEN = (InvalidRequestError, "Aiven does not take it: {words}")
_MEANINGS: dict[str | int, tuple[type[ApiError], str]] = {
    "user_personal_token_not_allowed": _POLICY,
    "action_forbidden_for_managed_users": _POLICY,
    "api_client_ip_allowlist_blocks_caller": _ADDRESS,
    "client_ip_address_policy_violation": _ADDRESS,
    "authentication_failed": _BAD_CREDENTIAL,
    HTTPStatus.UNAUTHORIZED: _BAD_CREDENTIAL,
    HTTPStatus.FORBIDDEN: (
        ForbiddenError,
        "Aiven forbids it ({words}); use another credential than that from {source}",
    ),
    HTTPStatus.NOT_FOUND: (TokenNotFoundError, "no such token is valid ({words})"),
    HTTPStatus.TOO_MANY_REQUESTS: (
        RateLimitError,
        "Aiven's rate limit ({words}); wait, then run the same command again",
    ),
}
"""What Aiven's codes and statuses mean: the "db token" of its words puzzles people."""
_CHUNK_BYTES = 65_536
_TOKEN_PATH = "/access_token/"  # noqa: S105 - a path


@dataclass(frozen=True)
class _Response:
    """What is read of an answer."""

    status: int
    date: str | None
    body: bytes = field(repr=False)


class Client:
    """The calls of the token API for one credential, over connections that all threads share.

    `sleep` waits between two tries, in seconds; `now` is the machine's clock. Every method raises an `ApiError`.
    """

    def __init__(
        self,
        credential: Credential,
        *,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._credential = credential
        self._sleep = sleep
        self._now = now
        self._session = _session(credential, sleep)
        self.clock_skew = timedelta()
        """How far the service's clock is ahead of the machine's, as the last answer showed; 0 before there was one."""

    def create(self, spec: TokenSpec) -> IssuedToken:
        """Make a token; one request, repeated only where it provably was not processed.

        One of `MAYBE_PROCESSED`: it may have been made, and nobody holds it.
        """
        call = "creating a token"
        body: dict[str, Any] = {
            "description": spec.description,
            "max_age_seconds": spec.max_age_seconds,
            "extend_when_used": spec.extend_when_used,
        }
        # Left out rather than null where absent: what the official CLI never sends, an older API need not know.
        optional = {"ip_allowlist": spec.ip_allowlist, "scopes": spec.scopes}
        body.update({name: list(value) for name, value in optional.items() if value is not None})
        try:
            answer = self._call("POST", "/access_token", call, body)
            full_token = answer.get("full_token")
            if not _is_text(full_token):
                raise self._unexpected(call, "it holds no full_token")
        except MAYBE_PROCESSED as error:
            raise type(error)(f"{error}; a token may have been made that nobody holds") from None
        made = {"description": spec.description, **answer}
        if not _is_text(made.get("token_prefix")):
            made["token_prefix"] = full_token[:PREFIX_LENGTH]
        return IssuedToken(info=token_info(made, lenient=True), full_token=full_token)

    def list_tokens(self) -> list[TokenInfo]:
        """All valid tokens of the user, login sessions included."""
        call = "listing the tokens"
        tokens = self._call("GET", "/access_token", call).get("tokens")
        if not isinstance(tokens, list):
            raise self._unexpected(call, "it holds no list of tokens")
        return [self._token(token, call) for token in tokens]

    def update(self, token_prefix: str, description: str) -> TokenInfo:
        """Set a token's description. TokenNotFoundError: no valid token has that prefix."""
        call = f"updating token {shown(token_prefix)}"
        return self._token(self._call("PUT", _token_path(token_prefix), call, {"description": description}), call)

    def introduce(self, issued: IssuedToken, description: str, mark: str) -> TokenInfo:
        """Set a new token's description by its own authority, with a mark in the User-Agent that its last use shows."""
        prefix = issued.info.token_prefix
        call = f"updating token {shown(prefix)} as itself"
        identity = {
            "auth": _Authorization(issued.full_token),
            "headers": {"User-Agent": marks.user_agent(_product(), mark)},
        }
        return self._token(
            self._call("PUT", _token_path(prefix), call, {"description": description}, identity=identity), call
        )

    def revoke(self, token_prefix: str) -> bool:
        """Revoke a token, and give whether the answer says so in words. TokenNotFoundError: none has that prefix."""
        answer = self._call("DELETE", _token_path(token_prefix), f"revoking token {shown(token_prefix)}")
        return _is_text(answer.get("message"))

    def expire_tokens(self) -> None:
        """Make every token of the user stop working, the credential's own included."""
        self._call("POST", "/me/expire_tokens", "expiring all tokens")

    def me(self) -> User:
        """The user that the credential belongs to."""
        call = "asking whose credential it is"
        user = self._call("GET", "/me", call).get("user")
        if not isinstance(user, dict) or not _is_text(user.get("user")):
            raise self._unexpected(call, "it names no user")
        user_id = user.get("user_id")
        return User(user_id=user_id if _is_text(user_id) else None, user=user["user"])

    def works(self, full_token: str) -> bool:
        """Whether a token is accepted as a credential; one that may do nothing here is, too."""
        identity = {"auth": _Authorization(full_token)}
        try:
            self._call("GET", "/me", "asking whether a token still works", identity=identity)
        except AuthenticationError:
            return False
        except ForbiddenError:
            pass  # its scopes or addresses: so it is known
        return True

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _call(
        self,
        method: str,
        path: str,
        call: str,
        sent: Mapping[str, Any] | None = None,
        *,
        identity: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        url = f"{self._credential.url}/v1{path}"
        failure = None
        try:
            response = self._answered(method, url, sent, identity or {})
        except (OSError, HTTPError, ValueError) as error:  # ValueError: a new token that no header can hold
            failure = self._not_answered(error, call)
        if failure is not None:  # raised here: in its chain those exceptions carry the request with its headers
            raise failure
        if len(body := response.body) > LARGEST_ANSWER_BYTES:
            raise self._unexpected(call, f"it is larger than {LARGEST_ANSWER_BYTES // 2**20} MiB")
        answer = _json_object(body)
        if response.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise self._refused(response.status, answer, call, names_a_token=path.startswith(_TOKEN_PATH))
        if answer is None and method == "DELETE" and not body:
            return {}
        if answer is None:
            raise self._unexpected(call, "it is not JSON; is a proxy between, or AIVEN_WEB_URL another service's?")
        if answer.get("error") and not answer.get("full_token"):
            raise ServerError(f"{call} failed: Aiven answered with an error: {self._words(answer.get('message'))}")
        self._note_clock(response.date)
        return answer

    def _note_clock(self, date: str | None) -> None:
        """Take over the service's clock where it differs from the machine's by more than the header leaves open."""
        try:
            skew = parsedate_to_datetime(date or "") + timedelta(seconds=0.5) - self._now()
        except (TypeError, ValueError, OverflowError):
            return
        self.clock_skew = skew if CLOCK_TOLERANCE < abs(skew) < A_CENTURY else timedelta()

    def _answered(
        self, method: str, url: str, sent: Mapping[str, Any] | None, identity: Mapping[str, Any]
    ) -> _Response:
        tries_left = TRIES_AGAIN if method in REPEATABLE else 0
        while True:
            try:
                with self._session.request(
                    method,
                    url,
                    json=sent,
                    stream=True,
                    timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS),
                    verify=self._credential.ca_bundle,  # given here, since REQUESTS_CA_BUNDLE would replace a session's
                    allow_redirects=False,
                    **identity,
                ) as response:
                    return _Response(response.status_code, response.headers.get("Date"), _read(response))
            except requests.exceptions.ChunkedEncodingError:  # an answer that breaks off is past urllib3's retries
                if not tries_left:
                    raise
            tries_left -= 1
            self._sleep(BACKOFF_SECONDS)

    def _token(self, answer: Any, call: str) -> TokenInfo:
        try:
            return token_info(answer)
        except ValueError as error:
            raise self._unexpected(call, f"it is not a token object ({error})") from None

    def _unexpected(self, call: str, why: str) -> UnexpectedAnswerError:
        return UnexpectedAnswerError(f"{call} failed: {self._host} gave an answer that is not the token API's: {why}")

    def _not_answered(self, error: Exception, call: str) -> ApiError:
        cause = error.args[0] if error.args else None
        reason = getattr(cause, "reason", cause)
        if isinstance(reason, UntrustedError) and isinstance(reason.args[0], ssl.SSLCertVerificationError):
            why = "its TLS certificate cannot be verified; a private CA is named by AIVEN_CA_CERT"
        elif isinstance(error, requests.exceptions.ProxyError):
            why = "the proxy between cannot be reached; see HTTPS_PROXY and NO_PROXY"
        elif isinstance(reason, ConnectTimeoutError):
            why = "no connection; check the network and AIVEN_WEB_URL, then run the same command again"
        elif isinstance(error, OSError) and not isinstance(error, requests.RequestException):
            why = "the file of CA certificates cannot be read; see AIVEN_CA_CERT and REQUESTS_CA_BUNDLE"
        elif _is_unsendable(error):
            why = "the request cannot be made; check AIVEN_WEB_URL, and HTTPS_PROXY or ALL_PROXY where one is set"
        else:
            why = "the connection broke, or was silent for too long, before the answer was there"
            return AnswerLostError(f"{call} failed: {self._host}: {why}; run the same command again")
        return UnreachableError(f"{call} failed: {self._host}: {why}")

    def _refused(self, status: int, answer: dict[str, Any] | None, call: str, *, names_a_token: bool) -> ApiError:
        """Translate an error status, by Aiven's code where there is one, else by the status."""
        errors = _errors(answer)
        failed = f"{call} failed ({status})"
        if status == HTTPStatus.NOT_FOUND and not (names_a_token and _is_absence(answer)):
            return self._refused_by_another(status, failed, call)  # an absence must be proven
        if not errors or status < HTTPStatus.BAD_REQUEST:
            return self._refused_by_another(status, failed, call)
        codes = [error["error_code"] for error in errors if isinstance(error.get("error_code"), str)]
        other = _SERVER_ERROR if status >= HTTPStatus.INTERNAL_SERVER_ERROR else _NOT_TAKEN
        kind, meaning = next((_MEANINGS[key] for key in (*codes, status) if key in _MEANINGS), other)
        words = self._words(errors[0].get("message"))
        return kind(f"{failed}: {meaning.format(words=words, source=self._credential.source)}")

    def _refused_by_another(self, status: int, failed: str, call: str) -> ApiError:
        """An error that the API did not write: a proxy's, or another service's."""
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return RateLimitError(f"{failed}: a rate limit; wait, then run the same command again")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return ServerError(f"{failed}: {self._host} or a proxy before it is not well; run the same command later")
        if status < HTTPStatus.BAD_REQUEST:
            return self._unexpected(
                call, f"a redirect ({status}), not followed since it would take the credential along; see AIVEN_WEB_URL"
            )
        return self._unexpected(call, f"status {status}; is a proxy between, or AIVEN_WEB_URL another service's?")

    def _words(self, message: Any) -> str:
        """Aiven's own words, made fit for a terminal: one line, short, and nothing in them that may be a secret."""
        if not isinstance(message, str):
            return "no reason given"
        line = " ".join(message.replace(self._credential.token, "[secret]").split())
        return re.sub(r"[A-Za-z0-9+/=_%\\-]{24,}", "[…]", printable(line))[:200] or "no reason given"

    @property
    def _host(self) -> str:
        return urlsplit(self._credential.url).netloc


class _Authorization(AuthBase):
    """Aiven's header. Given as `auth`, it keeps `requests` from replacing it by what a .netrc file says."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"aivenv1 {self._token}"
        return request


@functools.cache
def _product() -> str:
    return f"pulumi-avn-token/{version('pulumi-avn-token')}"


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - it would read the whole body first
        return None


def _session(credential: Credential, sleep: Callable[[float], None]) -> requests.Session:
    session = _Session()
    session.auth = _Authorization(credential.token)
    session.headers["User-Agent"] = _product()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    if credential.url.startswith("http:"):
        session.trust_env = False  # plain http stays on this machine: no proxy of the environment may carry it off
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=CONNECTIONS, pool_block=True, max_retries=retries(sleep))
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _is_text(value: Any) -> TypeGuard[str]:
    """Whether something is a text that can be passed on: protobuf and UTF-8 refuse half characters."""
    return isinstance(value, str) and value != "" and is_whole(value)


def _is_unsendable(error: Exception) -> bool:
    """Whether a request could not be made; an answer that cannot be read has errors of the same kinds."""
    if isinstance(error, requests.RequestException):
        return isinstance(error, ValueError) and not isinstance(error, requests.exceptions.InvalidHeader)
    return isinstance(error, UnicodeEncodeError) or str(error).startswith("Invalid header value")


def _token_path(token_prefix: str) -> str:
    """The path of a token. InvalidRequestError: it would be another path, or take a secret into the logs on the way."""
    if not token_prefix.strip(".") or not token_prefix.isprintable() or len(token_prefix) > LONGEST_PREFIX:
        raise InvalidRequestError(f"no token has the prefix {shown(token_prefix)!a}; give it as it is listed")
    return _TOKEN_PATH + quote(token_prefix, safe="")


def _read(response: requests.Response) -> bytes:
    """The body of an answer, or as much of it as shows that it is too large."""
    body = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        body += chunk
        if len(body) > LARGEST_ANSWER_BYTES:
            break
    return bytes(body)


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _is_absence(answer: dict[str, Any] | None) -> bool:
    """Whether the API itself says that something is not there: others have such a status too."""
    return any(
        error.get("status") == HTTPStatus.NOT_FOUND and isinstance(error.get("message"), str)
        for error in _errors(answer)
        if error is not answer
    )


def _errors(answer: dict[str, Any] | None) -> list[dict[str, Any]]:
    """What the API lists as wrong, or else its one message."""
    if answer is None:
        return []
    listed = answer.get("errors")
    errors = [error for error in listed if isinstance(error, dict)] if isinstance(listed, list) else []
    return errors or ([answer] if isinstance(answer.get("message"), str) else [])
