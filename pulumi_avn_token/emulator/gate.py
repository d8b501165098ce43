"""Who may talk to the emulator at all: programs on this machine, and no web page through a browser on it."""

import ipaddress
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from pulumi_avn_token.emulator.answers import refused


@web.middleware
async def loopback_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what a page sent (browsers add `Origin`) and what reached loopback under another name (DNS rebinding)."""
    if "Origin" in request.headers or not _is_loopback(request.headers.get("Host", "")):
        return refused(HTTPStatus.FORBIDDEN, "The emulator answers programs on this machine only, and no web page")
    return await handler(request)


def _is_loopback(host: str) -> bool:
    """Tell whether a Host header, with or without a port, names this machine."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
