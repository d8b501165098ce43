"""One access token that is renewed in time, and its secret as a stack output."""

import pulumi

import pulumi_avn_token as avn

token = avn.AccessToken(
    "ci-deploys",
    description="CI deploys",
    max_age_seconds=30 * 86400,
    early_rotation_window_seconds=7 * 86400,  # the first `up` in its last week makes the next one
    rotation_triggers={"leak": 0},  # another value after a leak makes the next one at once
)
pulumi.export("ci-deploys", token.full_token)
