"""A token in AWS Secrets Manager: the current one, and the one that is valid beside it."""

import pulumi
from pulumi_aws import secretsmanager

import pulumi_avn_token as avn

DAY = 24 * 60 * 60

token = avn.RotatingAccessToken(
    "ingest",
    description="Ingest workers in AWS",
    max_age_seconds=30 * DAY,
    early_rotation_window_seconds=14 * DAY,
    overlap_seconds=7 * DAY,  # a consumer has so long to fetch the current one
    revocation_triggers={"leak": 0},  # another value after a leak
)
secret = secretsmanager.Secret("ingest", name="aiven/ingest", description="Aiven access token of the ingest workers")

current = secretsmanager.SecretVersion(
    "current",
    secret_id=secret.id,
    secret_string=token.full_token,
    version_stages=["AWSCURRENT"],
)
secretsmanager.SecretVersion(
    "previous",
    secret_id=secret.id,
    # While there is no previous token, the current one: whoever reads it gets a token that works.
    secret_string=pulumi.Output.all(token.previous_full_token, token.full_token).apply(lambda both: both[0] or both[1]),
    version_stages=["PREVIOUS"],  # a label that AWS does not move by itself, as it does AWSPREVIOUS
    opts=pulumi.ResourceOptions(
        depends_on=[current],  # the first version of a secret becomes AWSCURRENT, whatever it is labelled
        retain_on_delete=True,  # its successor has the label by then, and AWS refuses to take it away twice
    ),
)
