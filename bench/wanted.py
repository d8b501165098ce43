"""Which tokens a contestant is to have: the same for all of them."""

import os

CONNECTIONS = 4
"""Over how many the requests alone are sent: as many as the host of dynamic providers has workers."""

MAX_AGE_SECONDS = 30 * 24 * 3600
CHANGED = 10
"""One in so many has another description in the operation that changes some."""


def descriptions(tokens: int, *, is_changed: bool) -> dict[str, str]:
    """The description of each token, by the name of its resource."""
    names = [f"token-{number:05}" for number in range(tokens)]
    return {
        name: f"Service {name}, changed" if is_changed and number % CHANGED == 0 else f"Service {name}"
        for number, name in enumerate(names)
    }


def of_the_environment() -> dict[str, str]:
    """What a program is to declare, as the one who runs it says."""
    return descriptions(int(os.environ["BENCH_TOKENS"]), is_changed=bool(os.environ.get("BENCH_IS_CHANGED")))
