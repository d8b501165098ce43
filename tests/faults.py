"""What goes wrong between the provider and the API: the rows of the fault matrix."""

from __future__ import annotations

from typing import Any, Literal

Call = Literal["me", "list", "create", "update", "revoke"]
CALLS: tuple[Call, ...] = ("me", "list", "create", "update", "revoke")

SILENCE_SECONDS = 0.4
DEEP = 100_000
RIVAL = "prefix of a rival"
"""Stands for the prefix of a token of somebody else's."""
FAULTS: dict[str, dict[str, Any]] = {
    "reset before": {"kind": "drop_before"},
    "reset during": {"kind": "drop_during"},
    "reset after": {"kind": "drop_after"},
    "broken off": {"kind": "truncated"},
    "silent": {"kind": "latency", "seconds": SILENCE_SECONDS},
    "429 in seconds": {"kind": "status", "status": 429, "retry_after": "seconds", "retry_after_seconds": 2},
    "429 with a date": {"kind": "status", "status": 429, "retry_after": "http-date", "retry_after_seconds": 2},
    "429 in words": {"kind": "status", "status": 429},
    "429 for an hour": {"kind": "status", "status": 429, "retry_after": "seconds", "retry_after_seconds": 3600},
    **{f"{status}": {"kind": "status", "status": status} for status in (500, 502, 503, 504)},
    **{
        f"{status} after": {"kind": "status", "status": status, "after_change": True} for status in (500, 502, 503, 504)
    },
    "page": {"kind": "html"},
    "page after": {"kind": "html", "after_change": True},
    "error": {"kind": "error"},
    "error after": {"kind": "error", "after_change": True},
    "empty": {"kind": "empty"},
    "flood": {"kind": "flood"},
    "flood after": {"kind": "flood", "after_change": True},
    "deep list": {"kind": "body", "body": "[" * DEEP, "after_change": True},
    "deep object": {"kind": "body", "body": '{"tokens":' * DEEP + "1" + "}" * DEEP},
    "number": {"kind": "body", "body": "1e999", "after_change": True},
    "null": {"kind": "body", "body": "null"},
    "list": {"kind": "body", "body": '[{"token_prefix": "x"}]'},
    "other object": {"kind": "body", "body": '{"tokens": {}, "user": [], "token_prefix": 1}', "after_change": True},
    "wrong types": {
        "kind": "fields",
        "fields": {"description": [], "max_age_seconds": "x", "expiry_time": "soon", "scopes": 1, "user_id": {}},
    },
    "nothing": {"kind": "body", "body": "{}"},
    "nothing after": {"kind": "body", "body": "{}", "after_change": True},
    "empty before": {"kind": "body", "body": ""},
    "another's prefix": {"kind": "fields", "fields": {"token_prefix": RIVAL}},
    "half a character": {"kind": "fields", "fields": {"description": "CI \ud83d", "last_user_agent": "\udd11"}},
    "wrong prefix": {"kind": "fields", "fields": {"token_prefix": {"x": 1}, "user": 5}},
    "no secret": {"kind": "fields", "fields": {"full_token": None}},
    "fields missing": {"kind": "fields", "without": ["token_prefix", "user"]},
    "all else missing": {
        "kind": "fields",
        "without": ["create_time", "expiry_time", "description", "last_ip", "scopes", "currently_active", "user_id"],
    },
    "fields unknown": {"kind": "fields", "fields": {"new": {"a": [1]}, "": None}},
    "credential": {"kind": "status", "status": 401},
    "policy": {"kind": "status", "status": 403, "error_code": "user_personal_token_not_allowed"},
    "address": {"kind": "status", "status": 403, "error_code": "client_ip_address_policy_violation"},
    "quota": {"kind": "status", "status": 409, "message": "A user can have at most 10 access tokens"},
    "list behind": {"kind": "stale_list", "seconds": 24 * 60 * 60},
}
"""The fields of each `Fault`, but for the call that it strikes and how often."""
