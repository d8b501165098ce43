"""Tokens as secrets of GitHub Actions: one for all workflows of a repository, one for those of an environment."""

import pulumi
import pulumi_github as github

import pulumi_avn_token as avn

DAY = 24 * 60 * 60

config = pulumi.Config()
repository = config.require("repository")
environment = config.require("environment")


def series(name: str, description: str) -> avn.RotatingAccessToken:
    """Declare a token for jobs: one that runs while it rotates goes on with the one that it began with."""
    return avn.RotatingAccessToken(
        name,
        description=f"GitHub Actions, {repository}: {description}",
        max_age_seconds=30 * DAY,
        early_rotation_window_seconds=14 * DAY,
        overlap_seconds=3 * DAY,  # longer than any job runs, and than two runs of this stack are apart
        retire_previous="after_overlap",
        revocation_triggers={"leak": 0},  # another value after a leak
    )


github.ActionsSecret(
    "ci",
    repository=repository,
    secret_name="AIVEN_TOKEN",  # noqa: S106 - its name
    value=series("ci", "tests").full_token,
)
github.ActionsEnvironmentSecret(
    "deploys",
    repository=repository,
    environment=environment,
    secret_name="AIVEN_TOKEN",  # noqa: S106 - the environment's takes precedence in its jobs
    value=series("deploys", environment).full_token,
)
