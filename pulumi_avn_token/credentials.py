"""Which credential and which URL the token API is called with, and where each came from."""

from __future__ import annotations

import ipaddress
import json
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from pulumi_avn_token.arguments import find_faults_of_credentials
from pulumi_avn_token.errors import CredentialError

DEFAULT_URL = "https://api.aiven.io"
STACK_TOKEN = "aiven:apiToken"  # noqa: S105 - the name of a setting, as in Aiven's own Pulumi provider
STACK_URL = "aiven:apiUrl"

_FROM_THE_NEXT_UP = "which a refresh or a destroy knows from the next `pulumi up` on"


@dataclass(frozen=True, kw_only=True)
class Credential:
    """What a request authenticates with and where it goes."""

    token: str = field(repr=False)
    source: str
    """Where the token came from, in words for an error message."""
    setting: str = "AIVEN_TOKEN"
    """Where another one can be given in its place."""
    url: str = DEFAULT_URL
    """Base URL, without `/v1` and without a slash at its end."""
    ca_bundle: str | None = None
    """A file of CA certificates to trust instead of the usual ones."""


def find_credential(
    environ: Mapping[str, str],
    stack: Callable[[str], str | None] | None = None,
    home: Callable[[], Path] = Path.home,
    named: str | None = None,
) -> Credential:
    """Find the credential to use; `stack` looks up a setting of the stack configuration such as `aiven:apiToken`.

    The first that is set and not empty: `AIVEN_TOKEN`, `AIVEN_AUTH_TOKEN`, the stack's `aiven:apiToken`, the official
    CLI's credentials file. The environment comes first since it is current, while refresh and destroy get the stack
    configuration of the last `up`. CredentialError: there is none, or something about it cannot be used.

    named: the environment variable, or the stack setting (with a colon), that alone is to be looked at. Its URL is
    beside it, if that is set: `AIVEN_TOKEN_STAGING_URL` for `AIVEN_TOKEN_STAGING`, `staging:apiUrl` for
    `staging:apiToken`; else the usual one.
    """
    look_up = stack or (lambda _key: None)
    if named is not None:
        return _find_named(named, environ, look_up)
    for token, source in _tokens(environ, look_up, home):
        if token:
            return _checked(token, source, environ, _usual_urls(environ, look_up))
    in_the_stack = f", or `pulumi config set --secret {STACK_TOKEN}` ({_FROM_THE_NEXT_UP})" if stack else ""
    raise CredentialError(
        f"no Aiven credential: set AIVEN_TOKEN in the environment{in_the_stack}, or log in with `avn user login`"
        f" (no AIVEN_AUTH_TOKEN either, and no credentials in {_credentials_file(environ, home)})"
    )


def check_name(named: str) -> str:
    """Give what `credentials` says, if that can be a name. CredentialError: it cannot, and may be a secret."""
    for fault in find_faults_of_credentials(named):
        raise CredentialError(f"credentials {fault}")
    return named


def _find_named(named: str, environ: Mapping[str, str], stack: Callable[[str], str | None]) -> Credential:
    """The credential that an argument `credentials` names: if that is missing, no other account is to be met."""
    namespace, is_setting, _ = check_name(named).partition(":")
    if is_setting:
        token, source = stack(named), _stale(named, "run `pulumi up` without a refresh first")
        missing = f"the stack setting {named}: `pulumi config set --secret {named}`, {_FROM_THE_NEXT_UP}"
        own_url = f"{namespace}:apiUrl"
        address = stack(own_url)
    else:
        token, source = environ.get(named), f"the environment variable {named}"
        missing = f"the environment variable {named}: set it"
        own_url = f"{named}_URL"
        address = environ.get(own_url)
    if not token:
        raise CredentialError(f"no Aiven credential in what credentials names, {missing}")
    found = _checked(token, source, environ, [(address, own_url), *_usual_urls(environ, stack)])
    return replace(found, setting=named)


def _checked(token: str, source: str, environ: Mapping[str, str], urls: Iterable[tuple[str | None, str]]) -> Credential:
    _check_token(token, source)
    return Credential(token=token, source=source, url=_checked_url(urls), ca_bundle=_checked_ca_bundle(environ))


def _usual_urls(environ: Mapping[str, str], stack: Callable[[str], str | None]) -> Iterator[tuple[str | None, str]]:
    yield environ.get("AIVEN_WEB_URL"), "AIVEN_WEB_URL"
    yield stack(STACK_URL), STACK_URL


def _tokens(
    environ: Mapping[str, str], stack: Callable[[str], str | None], home: Callable[[], Path]
) -> Iterator[tuple[str | None, str]]:
    """Each place to look, in order; lazily, so that a broken file does not matter where the environment has a token."""
    for name in ("AIVEN_TOKEN", "AIVEN_AUTH_TOKEN"):
        yield environ.get(name), f"the environment variable {name}"
    yield stack(STACK_TOKEN), _stale(STACK_TOKEN, "set AIVEN_TOKEN in the environment, which comes first")
    path = _credentials_file(environ, home)
    yield _token_in(path), f"the official CLI's credentials file {path}"


def _stale(setting: str, remedy: str) -> str:
    return (
        f"the stack configuration ({setting}: refresh and destroy are given that of the last `pulumi up`, so after a"
        f" change of it {remedy})"
    )


def _credentials_file(environ: Mapping[str, str], home: Callable[[], Path]) -> Path:
    if named := environ.get("AIVEN_CREDENTIALS_FILE"):
        return Path(named)
    folder = environ.get("AIVEN_CONFIG_DIR")
    try:
        return (Path(folder) if folder else home() / ".config" / "aiven") / "aiven-credentials.json"
    except RuntimeError:  # a container's user without a home
        return Path("~/.config/aiven/aiven-credentials.json")


def _token_in(path: Path) -> str | None:
    why = None
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        why = error.strerror
    except (ValueError, RecursionError):
        why = "it is not JSON"
    # Raised out here: in its chain a JSON error would carry the whole document, and with it the token.
    if why is not None:
        raise CredentialError(f"cannot read {path}: {why}; log in again with `avn user login`")
    token = content.get("auth_token") if isinstance(content, dict) else None
    if not isinstance(token, str):
        raise CredentialError(f"{path} holds no auth_token; log in again with `avn user login`")
    return token


def _check_token(token: str, source: str) -> None:
    """Refuse what cannot stand in a header: the library would refuse it too, and print it."""
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise CredentialError(
            f"the credential from {source} holds blanks, line ends or characters that no token has; set it anew"
        )


def _checked_url(places: Iterable[tuple[str | None, str]]) -> str:
    """The first that is set, of which each has the name of its place beside it."""
    url, source = next(((url, source) for url, source in places if url), (DEFAULT_URL, "default"))
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        if "[" in url:  # Python 3.10 does not look into the brackets
            ipaddress.IPv6Address(host or "")
    except ValueError:
        host, parts = None, urlsplit("")
    if not host or parts.scheme not in ("http", "https") or not url.isascii() or not url.isprintable() or " " in url:
        raise CredentialError(f"{source} is not a URL such as {DEFAULT_URL}; correct or unset it")
    if parts.username is not None or parts.password is not None or set("?#") & set(url):
        raise CredentialError(f"{source} may hold a scheme, a host, a port and a path only; correct or unset it")
    if parts.scheme == "http" and not is_loopback(host):
        raise CredentialError(
            f"{source} sends the credential in the clear to {host}: plain http is for loopback addresses; use https"
        )
    return parts.geturl().rstrip("/").removesuffix("/v1").rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or address alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _checked_ca_bundle(environ: Mapping[str, str]) -> str | None:
    path = environ.get("AIVEN_CA_CERT")
    if not path:
        return None
    try:
        ssl.create_default_context(cafile=path)
    except OSError:
        raise CredentialError(f"AIVEN_CA_CERT names no file of CA certificates: {path}; correct or unset it") from None
    return path
