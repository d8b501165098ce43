"""Aiven's personal access tokens as declarative, rotating Pulumi resources."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pulumi_avn_token.errors import AvnTokenError
    from pulumi_avn_token.functions import get_access_token, get_access_tokens
    from pulumi_avn_token.model import TokenInfo
    from pulumi_avn_token.resources import AccessToken, RotatingAccessToken, access_tokens_from_manifest

__all__ = [
    "AccessToken",
    "AvnTokenError",
    "RotatingAccessToken",
    "TokenInfo",
    "access_tokens_from_manifest",
    "get_access_token",
    "get_access_tokens",
]

_HOMES = {
    "AvnTokenError": "errors",
    "TokenInfo": "model",
    "get_access_token": "functions",
    "get_access_tokens": "functions",
}

if not TYPE_CHECKING:  # to a type checker, a name that there is not is an error

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used: the command line and the emulator do without Pulumi's SDK."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'resources')}"), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
