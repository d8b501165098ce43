"""Every error of this package.

    AvnTokenError
    ├── ManifestError               a manifest that cannot be used: every fault, each with its place
    ├── ExportError                 an export of a stack that cannot be had, or is none
    ├── CredentialError             no credential, or one that cannot be used as it is
    ├── AdoptionError               the token to adopt cannot be told, or is not as it was declared
    ├── WrongAccountError           the credential belongs to another user than the one a token was made as
    ├── TokenInUseError             the token to revoke is the one that asks
    └── ApiError                    a call of the token API that did not succeed
        ├── AuthenticationError     the credential has expired, was revoked, or is wrong
        ├── ForbiddenError          a policy of the organization, or the caller's address
        ├── InvalidRequestError     a value that the API does not take
        ├── TokenNotFoundError      no valid token has that prefix
        ├── RateLimitError          too many requests, for longer than is worth waiting
        ├── ServerError             an error on the other side
        ├── UnexpectedAnswerError   an answer that is not the API's, such as a proxy's page
        ├── UnreachableError        no connection: the request was provably not processed
        └── AnswerLostError         the connection broke: the request may have been processed

A message is one line (a `ManifestError`'s: one a fault) and says what happened, to which call or token, and what to do.
It never holds a header, a body, or more of a token than its prefix.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pulumi_avn_token.terminal import inert


class AvnTokenError(Exception):
    """Anything this package reports."""

    def __init__(self, message: str) -> None:
        super().__init__(inert(message))


class Fault(NamedTuple):
    """One thing that is wrong with a manifest."""

    file: str
    line: int
    """From 1."""
    column: int
    """In characters, from 1."""
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.what}"


class ManifestError(AvnTokenError):
    """A manifest that cannot be used. `faults` holds all that is wrong with it, as `FILE:LINE:COLUMN: what`."""

    def __init__(self, faults: Sequence[Fault | str]) -> None:
        self.faults = tuple(map(str, faults))
        self.places = tuple(fault for fault in faults if isinstance(fault, Fault))
        """The faults that have a place: all, unless the file cannot be read."""
        super().__init__("\n".join(self.faults))


class ExportError(AvnTokenError):
    """The state of a stack that cannot be had, or is not what `pulumi stack export` writes."""


class CredentialError(AvnTokenError):
    """No credential, or a credential, URL or CA bundle that cannot be used as it is."""


class AdoptionError(AvnTokenError):
    """The token to adopt cannot be told from what was given, or is not as it was declared."""


class WrongAccountError(AvnTokenError):
    """The credential belongs to another Aiven user than the one a token was made as."""


class TokenInUseError(AvnTokenError):
    """The token to revoke is the one that the provider authenticates with."""


class ApiError(AvnTokenError):
    """A call of the token API that did not succeed."""


class AuthenticationError(ApiError):
    """The credential has expired, was revoked, or is wrong."""


class ForbiddenError(ApiError):
    """A policy of the organization forbids it, or the caller's address is not allowed."""


class InvalidRequestError(ApiError):
    """A value that the API does not take, or a quota that is used up."""


class TokenNotFoundError(ApiError):
    """No valid token of this user has that prefix."""


class RateLimitError(ApiError):
    """Too many requests, for longer than is worth waiting."""


class ServerError(ApiError):
    """An error on the other side, still there after several tries."""


class UnexpectedAnswerError(ApiError):
    """An answer that is not the API's, such as a proxy's page or a redirect."""


class UnreachableError(ApiError):
    """No connection could be made: the request was provably not processed."""


class AnswerLostError(ApiError):
    """The connection broke before the answer was there: the request may have been processed."""
