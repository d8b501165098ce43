"""What a program, or a script, asks of the account: its tokens, as typed data."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pulumi.runtime.config import get_config

from pulumi_avn_token.account import not_found
from pulumi_avn_token.client import Client
from pulumi_avn_token.credentials import find_credential

if TYPE_CHECKING:
    from pulumi_avn_token.model import TokenInfo


def get_access_tokens(*, sessions: bool = False, credentials: str | None = None) -> list[TokenInfo]:
    """The account's valid tokens, without their secrets; one request a call, in previews too.

    sessions: login sessions too, which nobody made as a token.
    credentials: the environment variable, or the stack setting, where the credential of another account is.

    The credential is found as for the resources. AvnTokenError: there is none, or the API gave no list.
    """
    return [token for token in _listed(credentials) if sessions or not token.is_session]


def get_access_token(token_prefix: str, *, credentials: str | None = None) -> TokenInfo:
    """The valid token with this prefix, without its secret; the full token does as well. One request a call.

    credentials: as for `get_access_tokens`.

    TokenNotFoundError: there is none in this account. AvnTokenError: no credential, or the API gave no list.
    TypeError: it is an output, which is not known yet.
    """
    if not isinstance(token_prefix, str):
        raise TypeError("token_prefix must be a string; of an output: output.apply(pulumi_avn_token.get_access_token)")
    for token in _listed(credentials):
        if token_prefix == token.token_prefix or token_prefix.startswith(token.token_prefix):
            return token
    raise not_found(token_prefix)


def _listed(credentials: str | None) -> list[TokenInfo]:
    client = Client(find_credential(os.environ, get_config, named=credentials))
    try:
        return client.list_tokens()
    finally:
        client.close()
