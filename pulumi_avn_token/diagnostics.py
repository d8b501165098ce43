"""What the provider says to the person at the terminal, beside its errors: messages of the engine."""

from __future__ import annotations

import re
import sys
from typing import Literal

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from pulumi_avn_token.terminal import inert

Severity = Literal["info", "warning"]

_SEVERITIES = {"info": engine_pb2.INFO, "warning": engine_pb2.WARNING}
_ENGINE_TIMEOUT_SECONDS = 5


def say(severity: Severity, message: str, urn: str = "") -> None:
    """Show a message under *Diagnostics* of the running `pulumi` command; without one, on standard error.

    urn: the resource that it is about; empty: the stack.
    """
    address, message = _engine_address(), inert(message)
    if address is not None:
        request = engine_pb2.LogRequest(severity=_SEVERITIES[severity], message=message, urn=urn)
        try:
            with grpc.insecure_channel(address) as channel:
                engine_pb2_grpc.EngineStub(channel).Log(request, timeout=_ENGINE_TIMEOUT_SECONDS)
        except grpc.RpcError:
            pass
        else:
            return
    sys.stderr.write(f"{severity}: {message}\n")


def _engine_address() -> str | None:
    """The engine's address, which it gives to the host of dynamic providers as its first argument."""
    is_host = re.search(r"pulumi.dynamic.__main__\.py$", sys.argv[0]) and len(sys.argv) > 1
    return sys.argv[1] if is_host else None
