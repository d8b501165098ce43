"""What one operation of the engine shares, with accounts on the other side of real sockets."""

from __future__ import annotations

from datetime import timedelta

from pulumi_avn_token.emulator import Emulator
from pulumi_avn_token.operation import Operation

AHEAD = timedelta(days=25)


def test_each_account_has_its_own_clock(emulator: Emulator) -> None:
    """What is due is decided by the time of the account that a token is in, once that has answered."""
    with Emulator(user="staging@example.org") as staging:
        staging.clock_offset = AHEAD.total_seconds()
        operation = Operation(
            environ={
                "AIVEN_TOKEN": emulator.token,
                "AIVEN_WEB_URL": emulator.url,
                "AIVEN_TOKEN_STAGING": staging.token,
                "AIVEN_TOKEN_STAGING_URL": staging.url,
            }
        )
        for named in (None, "AIVEN_TOKEN_STAGING"):
            operation.account(named).tokens()
        assert operation.account().owner().user == emulator.user
        assert operation.account("AIVEN_TOKEN_STAGING").owner().user == staging.user
        ahead = operation.now("AIVEN_TOKEN_STAGING") - operation.now()
        assert abs(ahead - AHEAD) < timedelta(minutes=1)
