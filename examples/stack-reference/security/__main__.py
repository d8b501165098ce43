"""Makes the token that an application in another project uses."""

import pulumi

import pulumi_avn_token as avn

DAY = 24 * 60 * 60

ingest = avn.RotatingAccessToken(
    "ingest",
    description="Ingest workers",
    max_age_seconds=30 * DAY,
    early_rotation_window_seconds=14 * DAY,
    overlap_seconds=7 * DAY,  # the application's own `up` has so long
    revocation_triggers={"leak": 0},  # another value after a leak
)
pulumi.export("ingest_token", ingest.full_token)
