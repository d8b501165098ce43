"""The public names as a typed program uses them: checked by mypy, never run.

An `ignore` here states that something is refused: mypy complains of one that is not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pulumi

import pulumi_avn_token as avn


def declares() -> tuple[pulumi.Output[str], pulumi.Output[str], pulumi.Output[str | None]]:
    """Arguments are plain values, or outputs of other resources; outputs have the types that they are used by."""
    other = pulumi.Output.from_input("described elsewhere")
    token = avn.AccessToken(
        "token",
        description=other,
        max_age_seconds=30 * 86400,
        extend_when_used=True,
        ip_allowlist=["192.0.2.0/24", other],
        scopes=("user:read",),
        early_rotation_window_seconds=86400,
        rotation_triggers={"release": "2026-11", "count": 1},
        credentials="AIVEN_TOKEN_STAGING",
        opts=pulumi.ResourceOptions(protect=True),
    )
    adopted: avn.AccessToken = avn.AccessToken("adopted", description="d", adopt_prefix="p", full_token=other)
    read: avn.AccessToken = avn.AccessToken.get("read", adopted.id, credentials=other)
    return token.full_token, read.token_prefix, token.expiry_time


def declares_a_series() -> tuple[pulumi.Output[str], pulumi.Output[str | None], pulumi.Output[str | None]]:
    """A series has the outputs of a token, and those of the one before it."""
    series = avn.RotatingAccessToken(
        "series",
        description="d",
        max_age_seconds=60 * 86400,
        early_rotation_window_seconds=14 * 86400,
        overlap_seconds=7 * 86400,
        retire_previous="after_overlap",
        revocation_triggers={"leak": 0},
    )
    return series.rotates_at, series.previous_full_token, series.previous_last_ip


def declares_many() -> dict[str, avn.AccessToken | avn.RotatingAccessToken]:
    """A manifest is named by a string or a path, and gives resources of either kind."""
    avn.access_tokens_from_manifest("tokens.yaml", opts=pulumi.ResourceOptions(retain_on_delete=True))
    return avn.access_tokens_from_manifest(Path("tokens.yaml"))


def asks() -> tuple[str, str | None, int | None, bool | None, Sequence[str] | None]:
    """What a program asks of the account is typed data, which holds no secret."""
    tokens: list[avn.TokenInfo] = avn.get_access_tokens()
    tokens += avn.get_access_tokens(sessions=True)
    token: avn.TokenInfo = avn.get_access_token("XCJ3+bgWywIh")
    token.full_token  # type: ignore[attr-defined]  # noqa: B018
    token.description = "d"  # type: ignore[misc]
    return token.description, token.expiry_time, token.max_age_seconds, token.extend_when_used, token.scopes


def handles() -> str:
    """Whatever goes wrong is of one kind."""
    try:
        avn.get_access_tokens()
    except avn.AvnTokenError as error:
        return str(error)
    return ""


def is_refused() -> None:
    """What would fail when it runs fails to be checked."""
    avn.AccessToken("token")  # type: ignore[call-arg]
    avn.AccessToken("token", "described")  # type: ignore[call-arg]
    avn.AccessToken("token", description=1)  # type: ignore[arg-type]
    avn.AccessToken("token", description="d", max_age="30d")  # type: ignore[call-arg]
    avn.RotatingAccessToken("series", description="d")  # type: ignore[call-arg]
    avn.get_access_tokens(True)  # type: ignore[call-arg]  # noqa: FBT003
    avn.get_access_token()  # type: ignore[call-arg]
    avn.Token  # type: ignore[attr-defined]  # noqa: B018
