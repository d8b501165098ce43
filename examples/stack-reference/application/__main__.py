"""Hands the token that the security stack makes on to this application's workers."""

from typing import Any

import pulumi


def decrypted(secret: Any) -> str:
    """Refuse what takes the place of a secret that the engine cannot decrypt, of which it tells in passing only."""
    if not isinstance(secret, str):
        raise pulumi.RunError("ingest_token cannot be decrypted: run with access to the security stack's secrets")
    return secret


security = pulumi.StackReference(pulumi.Config().require("security"))
token = security.require_output("ingest_token").apply(decrypted)

pulumi.export("worker_token", token)  # a secret here too, like all that is made of one
