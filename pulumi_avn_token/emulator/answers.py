"""How the service's answers look: JSON, errors included."""

from datetime import datetime, timezone
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from pulumi_avn_token.emulator.store import Token, User


class Refusal(Exception):  # noqa: N818 - it is an answer, not a failure
    """A request is refused; `messages` are for the caller and never hold a credential."""

    def __init__(self, status: HTTPStatus, *messages: str, code: str | None = None) -> None:
        super().__init__(*messages)
        self.status = status
        self.messages = messages
        self.code = code


def refused(status: int, *messages: str, code: str | None = None) -> web.Response:
    """Shape an error as the service does: every message with its status, the first one again on top."""
    extra = {"error_code": code} if code else {}
    errors = [{"message": message, "status": status, **extra} for message in messages]
    return web.json_response({"errors": errors, "message": messages[0]}, status=status)


@web.middleware
async def shape_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer in the service's shape whatever goes wrong: refusals, unknown routes, wrong methods, our own mistakes."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return refused(refusal.status, *refusal.messages, code=refusal.code)
    except web.HTTPException as error:
        response = refused(error.status, error.reason)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets JSON; its text may hold what was sent
        return refused(HTTPStatus.INTERNAL_SERVER_ERROR, f"The emulator failed: {type(error).__name__}")


def iso(seconds: float | None) -> str | None:
    """Write a time as ISO 8601 in UTC, with a fraction only where there is one."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat().replace("+00:00", "Z")


def token_object(token: Token, *, credential: Token) -> dict[str, object]:
    """Describe a token to the caller that used `credential`: every key always there, null where never set."""
    return {
        "create_time": iso(token.create_time),
        "created_manually": token.created_manually,
        "currently_active": token.token_prefix == credential.token_prefix,
        "description": token.description,
        "expiry_time": iso(token.expiry_time),
        "extend_when_used": token.extend_when_used,
        "ip_allowlist": token.ip_allowlist,
        "last_ip": token.last_ip,
        "last_used_time": iso(token.last_used_time),
        "last_user_agent": token.last_user_agent,
        "last_user_agent_human_readable": _for_people(token.last_user_agent),
        "max_age_seconds": token.max_age_seconds,
        "scopes": token.scopes,
        "token_prefix": token.token_prefix,
    }


def user_object(user: User) -> dict[str, object]:
    """Describe a user who is a member of nothing: here there are only tokens."""
    return {
        "auth": ["password"],
        "city": None,
        "country": None,
        "create_time": iso(user.create_time),
        "department": None,
        "features": {},
        "intercom": {},
        "invitations": [],
        "job_title": None,
        "managed_by_scim": False,
        "managing_organization_id": None,
        "project_membership": {},
        "project_memberships": {},
        "projects": [],
        "real_name": user.real_name,
        "state": "active",
        "tenant": "aiven",
        "token_validity_begin": iso(user.token_validity_begin),
        "user": user.user,
        "user_id": user.user_id,
        "viewed_indicators": [],
    }


def _for_people(user_agent: str | None) -> str | None:
    """Give the program and its version: `aiven-client/4.18.0 (…)` is `aiven-client 4.18.0`."""
    return user_agent.split()[0].replace("/", " ") if user_agent and user_agent.split() else None
