"""Every token of tokens.yaml, and its secret as a stack output."""

from pathlib import Path

import pulumi

import pulumi_avn_token as avn

tokens = avn.access_tokens_from_manifest(Path(__file__).parent / "tokens.yaml")

pulumi.export("tokens", {name: token.full_token for name, token in tokens.items()})
pulumi.export("expiry_times", {name: token.expiry_time for name, token in tokens.items()})
