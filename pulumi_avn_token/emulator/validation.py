"""What a request body may say."""

import ipaddress
import json
from http import HTTPStatus
from typing import Any, TypeGuard

from pulumi_avn_token.emulator.answers import Refusal
from pulumi_avn_token.emulator.store import NewToken

_DESCRIPTION_CHARACTERS = 1000
_MIN_AGE_SECONDS = 600
_MAX_AGE_SECONDS = 315_360_000  # ten years
_LIST_ITEMS = 100


def _json(body: bytes) -> object:
    """Read a body that has to be JSON."""
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "Invalid input for body: not JSON") from error
    return value


def body_object(body: bytes) -> dict[str, object]:
    """Read a body that has to be a JSON object."""
    value = _json(body)
    if not isinstance(value, dict):
        raise Refusal(HTTPStatus.BAD_REQUEST, "Invalid input for body: not an object")
    return value


def body_list(body: bytes) -> list[dict[str, Any]]:
    """Read a body that has to be a JSON list of objects."""
    value = _json(body)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Refusal(HTTPStatus.BAD_REQUEST, "Invalid input for body: not a list of objects")
    return value


def new_token(body: dict[str, object], *, default_max_age_seconds: float | None) -> NewToken:
    """Read what token is asked for; unknown fields are ignored."""
    fields = _Fields(body)
    wanted = NewToken(
        description=fields.description(),
        max_age_seconds=fields.max_age_seconds(default_max_age_seconds),
        extend_when_used=fields.extend_when_used(),
        ip_allowlist=fields.ip_allowlist(),
        scopes=fields.scopes(),
    )
    fields.refuse_faults()
    return wanted


def new_description(body: dict[str, object]) -> str:
    """Read the description that a token is to have; unknown fields are ignored."""
    fields = _Fields(body)
    description = fields.description()
    fields.refuse_faults()
    return description


class _Fields:
    """Reads fields and gathers what is wrong with them, never quoting a value: it may be a credential gone astray."""

    def __init__(self, body: dict[str, object]) -> None:
        self._body = body
        self._faults: list[str] = []

    def refuse_faults(self) -> None:
        if self._faults:
            raise Refusal(HTTPStatus.BAD_REQUEST, *self._faults)

    def description(self) -> str:
        value = self._body.get("description")
        if _is_text(value) and 1 <= len(value) <= _DESCRIPTION_CHARACTERS:
            return value
        self._fault("description", f"must be a string of 1 to {_DESCRIPTION_CHARACTERS} characters")
        return ""

    def max_age_seconds(self, default: float | None) -> float | None:
        value = self._body.get("max_age_seconds")
        if value is None:
            return default
        if (
            isinstance(value, (int, float))
            and not isinstance(value, bool)
            and _MIN_AGE_SECONDS <= value <= _MAX_AGE_SECONDS
        ):
            return value
        self._fault("max_age_seconds", f"must be null or a number from {_MIN_AGE_SECONDS} to {_MAX_AGE_SECONDS}")
        return None

    def extend_when_used(self) -> bool:
        value = self._body.get("extend_when_used", False)
        if isinstance(value, bool):
            return value
        self._fault("extend_when_used", "must be true or false")
        return False

    def ip_allowlist(self) -> list[str] | None:
        values = self._texts("ip_allowlist")
        if values and not all(map(_is_network, values)):
            self._fault("ip_allowlist", "every item must be a CIDR")
        return values

    def scopes(self) -> list[str] | None:
        return self._texts("scopes")

    def _texts(self, field: str) -> list[str] | None:
        value = self._body.get(field)
        if value is None:
            return None
        if isinstance(value, list) and len(value) <= _LIST_ITEMS and all(map(_is_text, value)):
            return value
        self._fault(field, f"must be a list of at most {_LIST_ITEMS} strings")
        return None

    def _fault(self, field: str, demand: str) -> None:
        self._faults.append(f"Invalid input for {field}: {demand}")


def _is_text(value: object) -> TypeGuard[str]:
    """Tell whether it is a string that can be written down: JSON lets half a surrogate pair through."""
    return isinstance(value, str) and value == value.encode("utf-8", "replace").decode()


def _is_network(value: str) -> bool:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return True
