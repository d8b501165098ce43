"""One operation of the engine, as a provider sees it: whose account, what time it is, and how to speak to the user."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from pulumi_avn_token import diagnostics
from pulumi_avn_token.adoption import Adoptions
from pulumi_avn_token.credentials import Credential, find_credential

if TYPE_CHECKING:
    from pulumi_avn_token.account import Account
    from pulumi_avn_token.rotation import Plan


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


class Operation:
    """What all providers of a host process share: the engine starts one process for each of its operations.

    `environ` and the stack's configuration say where the credential is; `now` is the machine's clock; `sleep` waits,
    in seconds; `say` shows a message, about the resource of a URN. `named`, in its methods, is what a resource's
    `credentials` says: None, the usual credential.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str] = os.environ,
        now: Callable[[], datetime] = _utc_now,
        sleep: Callable[[float], None] = time.sleep,
        say: Callable[[diagnostics.Severity, str, str], None] = diagnostics.say,
    ) -> None:
        self._machine = now
        self._sleep = sleep
        self.say = say
        self.adoptions = Adoptions()
        self.plans: dict[str, Plan] = {}
        """What was told of each series, by its id, to be done next."""
        self._environ = environ
        self._stack: Callable[[str], str | None] = lambda _key: None
        self._lock = threading.RLock()
        self._credentials: dict[str | None, Credential] = {}
        self._accounts: dict[Credential, Account] = {}

    def configure(self, stack: Callable[[str], str | None]) -> None:
        """Take the stack's configuration: a look-up of a key such as `aiven:apiToken`."""
        self._stack = stack

    def now(self, named: str | None = None) -> datetime:
        """The time: the service's, once it has answered, since it is the one that lets tokens expire."""
        with self._lock:
            account = self._accounts.get(self._credentials[named]) if named in self._credentials else None
        return self._machine() + (account.clock_skew if account else timedelta())

    def credential(self, named: str | None = None) -> Credential:
        """The credential to use. CredentialError: there is none, or it cannot be used; no request is made."""
        with self._lock:
            if named not in self._credentials:
                self._credentials[named] = find_credential(self._environ, self._stack, named=named)
            return self._credentials[named]

    def account(self, named: str | None = None) -> Account:
        """The credential's account, the same for all threads."""
        with self._lock:
            credential = self.credential(named)
            if credential not in self._accounts:
                # Not before it is needed: a program that only declares tokens loads this module too.
                from pulumi_avn_token.account import Account  # noqa: PLC0415
                from pulumi_avn_token.client import Client  # noqa: PLC0415

                client = Client(credential, sleep=self._sleep, now=self._machine)
                self._accounts[credential] = Account(client, credential, self._machine, self._met)
            return self._accounts[credential]

    def _met(self) -> list[Credential]:
        """The credentials that have been asked for so far."""
        with self._lock:
            return list(self._credentials.values())
