"""The providers as a new host process has them."""

from __future__ import annotations

from typing import Any

from pulumi_avn_token.operation import Operation


def new_provider(kind: type[Any], url: str, token: str, **of_the_operation: Any) -> Any:
    """A provider of an operation of its own, which never waits; `of_the_operation` are further arguments of it."""
    environ = {"AIVEN_TOKEN": token, "AIVEN_WEB_URL": url}
    arguments: dict[str, Any] = {"sleep": lambda _seconds: None, "say": lambda *_message: None, **of_the_operation}
    return type(kind.__name__, (kind,), {"operation": Operation(environ=environ, **arguments)})()
