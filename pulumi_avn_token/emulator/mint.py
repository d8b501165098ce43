"""How a full token is drawn, and what of it may be kept."""

import base64
import hashlib
import secrets

PREFIX_CHARACTERS = 12
_PREFIX_BYTES = 9
_TAIL_BYTES = 268  # 277 bytes in all: 372 characters of base64, as the service's


def draw_token() -> str:
    """Draw a full token whose prefix holds both a `+` and a `/`, so that nobody forgets to encode it."""
    prefix = ""
    while not {"+", "/"} <= set(prefix):
        prefix = base64.b64encode(secrets.token_bytes(_PREFIX_BYTES)).decode()
    return prefix + base64.b64encode(secrets.token_bytes(_TAIL_BYTES)).decode()


def prefix_of(full_token: str) -> str:
    """Give the part of a token that names it without giving it away."""
    return full_token[:PREFIX_CHARACTERS]


def digest_of(full_token: str) -> str:
    """Give the SHA-256 that is stored in a token's place: it has far too much entropy for a salt to matter."""
    return hashlib.sha256(full_token.encode("utf-8", "surrogateescape")).hexdigest()
