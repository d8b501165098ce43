"""Calls the API with a token that it fetches at its own pace: `python consumer.py ingest.token`.

Nobody tells it that the token was rotated. It is served all the same, as long as it fetches the secret more often than
the series' overlap is long.
"""

import argparse
import itertools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import requests

HOUR = 60 * 60
USER_AGENT = "ingest-worker/1.0"  # what `pulumi up` names, should it still use a token whose overlap is over


class Consumer:
    """Something that uses the token all the time; `clock` gives seconds."""

    def __init__(
        self, token_file: Path, fetch_every: float, *, url: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._token_file = token_file
        self._fetch_every = fetch_every
        self._url = url
        self._clock = clock
        self._token = ""
        self._fetch_at = clock()

    def call(self) -> str:
        """Ask the API who the token's user is. requests.HTTPError: the token was refused."""
        if self._clock() >= self._fetch_at:
            self._token = self._token_file.read_text(encoding="utf-8").strip()
            self._fetch_at = self._clock() + self._fetch_every
        answer = requests.get(
            f"{self._url}/v1/me",
            auth=self._authorized,  # and not as a header, which a .netrc would replace
            headers={"User-Agent": USER_AGENT},
            timeout=30,
            allow_redirects=False,
        )
        answer.raise_for_status()
        return str(answer.json()["user"]["user"])

    def _authorized(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"aivenv1 {self._token}"
        return request


def main() -> None:
    """Call again and again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("token_file", type=Path)
    parser.add_argument("--fetch-every", type=float, default=6 * HOUR, metavar="SECONDS", help="default: %(default)s")
    parser.add_argument("--call-every", type=float, default=60, metavar="SECONDS", help="default: %(default)s")
    parser.add_argument("--calls", type=int, metavar="COUNT", help="stop after so many; default: never")
    given = parser.parse_args()
    url = os.environ.get("AIVEN_WEB_URL", "https://api.aiven.io")
    consumer = Consumer(given.token_file, given.fetch_every, url=url)
    for call in itertools.count(1):
        sys.stdout.write(f"served as {consumer.call()}\n")
        sys.stdout.flush()
        if call == given.calls:
            break
        time.sleep(given.call_every)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
