"""The Aiven access-token API over SQLite, for demos and tests; it shares no code with the client that it judges."""

from pulumi_avn_token.emulator.errors import EmulatorError
from pulumi_avn_token.emulator.faults import Fault
from pulumi_avn_token.emulator.foreground import run
from pulumi_avn_token.emulator.journal import RequestRecord
from pulumi_avn_token.emulator.server import DEFAULT_MAX_AGE_SECONDS, DEFAULT_USER, Emulator

__all__ = ["DEFAULT_MAX_AGE_SECONDS", "DEFAULT_USER", "Emulator", "EmulatorError", "Fault", "RequestRecord", "run"]
