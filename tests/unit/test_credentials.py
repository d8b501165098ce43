"""Which credential is used, and what is refused before any request."""

from __future__ import annotations

import string
import traceback
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_avn_token.credentials import (
    DEFAULT_URL,
    STACK_TOKEN,
    STACK_URL,
    Credential,
    find_credential,
    is_loopback,
)
from pulumi_avn_token.errors import CredentialError

GIVEN = "AbCd" + "EfGh" * 20
VISIBLE = "".join(character for character in string.printable if character.isprintable() and character != " ")
SECRETS = st.text(string.ascii_letters + string.digits, min_size=20, max_size=200)


def find(
    environ: dict[str, str] | None = None,
    stack: dict[str, str] | None = None,
    home: Path | None = None,
    named: str | None = None,
) -> Credential:
    """Find the credential of this environment, with a home in which nobody logged in."""
    return find_credential(environ or {}, (stack or {}).get, lambda: home or Path("/nonexistent"), named)


def log_in(path: Path, content: str | bytes = f'{{"auth_token": "{GIVEN}"}}') -> Path:
    """Leave behind what the official CLI does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Give an error and all that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def assert_hides(error: CredentialError, secret: str) -> None:
    """Hold an error to show a secret neither itself nor in what it is chained to."""
    shown = [text for link in chain(error) for text in (str(link), repr(link), repr(link.args))]
    shown += traceback.format_exception(error)
    assert not any(secret in text for text in shown)


def test_first_place_that_is_set_wins(tmp_path: Path) -> None:
    """The environment comes before the stack, and the stack before the official CLI's login."""
    log_in(tmp_path / ".config/aiven/aiven-credentials.json", '{"auth_token": "fourth"}')
    environ = {"AIVEN_TOKEN": "first", "AIVEN_AUTH_TOKEN": "second"}
    stack = {STACK_TOKEN: "third"}
    found = [
        find(environ, stack, tmp_path),
        find({"AIVEN_AUTH_TOKEN": "second"}, stack, tmp_path),
        find({}, stack, tmp_path),
        find({}, {}, tmp_path),
    ]
    assert [credential.token for credential in found] == ["first", "second", "third", "fourth"]


def test_empty_is_unset(tmp_path: Path) -> None:
    """A variable or a setting that is empty is passed over, whatever it is."""
    log_in(tmp_path / ".config/aiven/aiven-credentials.json")
    names = (
        "AIVEN_TOKEN",
        "AIVEN_AUTH_TOKEN",
        "AIVEN_CREDENTIALS_FILE",
        "AIVEN_CONFIG_DIR",
        "AIVEN_WEB_URL",
        "AIVEN_CA_CERT",
    )
    credential = find(dict.fromkeys(names, ""), {STACK_TOKEN: "", STACK_URL: ""}, tmp_path)
    assert credential == Credential(
        token=GIVEN,
        source=f"the official CLI's credentials file {tmp_path}/.config/aiven/aiven-credentials.json",
        url=DEFAULT_URL,
        ca_bundle=None,
    )


@pytest.mark.parametrize("name", ["AIVEN_TOKEN", "AIVEN_AUTH_TOKEN"])
def test_variable_is_named_as_the_source(name: str) -> None:
    """An error can say which variable the credential came from."""
    assert find({name: GIVEN}).source == f"the environment variable {name}"


def test_stack_as_the_source_says_that_it_may_be_stale() -> None:
    """Who is told that the stack's credential is wrong learns that refresh and destroy are given an old one."""
    source = find(stack={STACK_TOKEN: GIVEN}).source
    assert source.startswith("the stack configuration (aiven:apiToken: refresh and destroy are given")
    assert "set AIVEN_TOKEN in the environment" in source


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({}, "home/.config/aiven/aiven-credentials.json"),
        ({"AIVEN_CONFIG_DIR": "{}/config"}, "config/aiven-credentials.json"),
        ({"AIVEN_CREDENTIALS_FILE": "{}/mine.json"}, "mine.json"),
        ({"AIVEN_CREDENTIALS_FILE": "{}/mine.json", "AIVEN_CONFIG_DIR": "{}/config"}, "mine.json"),
    ],
)
def test_login_is_found_where_the_official_cli_keeps_it(environ: dict[str, str], place: str, tmp_path: Path) -> None:
    """The file is named by AIVEN_CREDENTIALS_FILE, lies in AIVEN_CONFIG_DIR, or in the home."""
    path = log_in(tmp_path / place, f'{{"auth_token": "{GIVEN}", "user_email": "somebody@example.org"}}')
    here = {name: value.format(tmp_path) for name, value in environ.items()}
    credential = find(here, home=tmp_path / "home")
    assert (credential.token, credential.source) == (GIVEN, f"the official CLI's credentials file {path}")


def test_no_credential_says_what_to_do(tmp_path: Path) -> None:
    """Where nothing is set, the error names every way to set it."""
    with pytest.raises(CredentialError) as caught:
        find(home=tmp_path)
    message = str(caught.value)
    assert message.startswith("no Aiven credential: ")
    for way in (
        "AIVEN_TOKEN",
        "AIVEN_AUTH_TOKEN",
        "pulumi config set --secret aiven:apiToken",
        "avn user login",
        str(tmp_path),
    ):
        assert way in message
    assert "\n" not in message


def test_without_a_stack_none_is_spoken_of(tmp_path: Path) -> None:
    """Where there is no stack to look into, as at the command line, the error offers the other ways only."""
    with pytest.raises(CredentialError) as caught:
        find_credential({}, home=lambda: tmp_path)
    message = str(caught.value)
    assert "set AIVEN_TOKEN in the environment, or log in with `avn user login`" in message
    assert "pulumi" not in message.replace(str(tmp_path), "")
    assert STACK_TOKEN not in message


def test_without_a_stack_the_login_will_do(tmp_path: Path) -> None:
    """Where there is no stack to look into, the next place is looked at."""
    log_in(tmp_path / ".config/aiven/aiven-credentials.json")
    credential = find_credential({}, home=lambda: tmp_path)
    assert (credential.token, credential.url) == (GIVEN, DEFAULT_URL)


def test_user_without_a_home_has_no_login() -> None:
    """A container's user without a home gets the same error, or uses the environment."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    with pytest.raises(CredentialError, match=r"no Aiven credential: .*~/.config/aiven/aiven-credentials.json"):
        find_credential({}, home=homeless)
    assert find_credential({"AIVEN_TOKEN": GIVEN}, home=homeless).token == GIVEN


def test_home_is_the_users_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without being told, the login is looked for in the home of who runs it."""
    log_in(tmp_path / ".config/aiven/aiven-credentials.json")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_credential({}).token == GIVEN


def test_broken_login_does_not_matter_where_the_environment_has_a_token(tmp_path: Path) -> None:
    """A place is looked at only if those before it are empty."""
    log_in(tmp_path / ".config/aiven/aiven-credentials.json", "{")
    assert find({"AIVEN_TOKEN": GIVEN}, home=tmp_path).token == GIVEN


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (f'{{"auth_token": "{GIVEN}"', "cannot read {}: it is not JSON; log in again with `avn user login`"),
        (f'{{"auth_token": "{GIVEN}", }}', "cannot read {}: it is not JSON; log in again with `avn user login`"),
        (GIVEN, "cannot read {}: it is not JSON; log in again with `avn user login`"),
        (f'"{GIVEN}"', "{} holds no auth_token; log in again with `avn user login`"),
        (f'["{GIVEN}"]', "{} holds no auth_token; log in again with `avn user login`"),
        (f'{{"token": "{GIVEN}"}}', "{} holds no auth_token; log in again with `avn user login`"),
        (f'{{"auth_token": ["{GIVEN}"]}}', "{} holds no auth_token; log in again with `avn user login`"),
        ('{"auth_token": null}', "{} holds no auth_token; log in again with `avn user login`"),
        ("", "cannot read {}: it is not JSON; log in again with `avn user login`"),
    ],
    ids=["unclosed", "comma", "bare", "text", "list", "another key", "list as token", "null", "empty"],
)
def test_broken_login_is_told_without_what_it_holds(content: str | bytes, why: str, tmp_path: Path) -> None:
    """A file that cannot be used is named, and nothing of it is shown, not by any traceback either."""
    path = log_in(tmp_path / "login.json", content)
    with pytest.raises(CredentialError) as caught:
        find({"AIVEN_CREDENTIALS_FILE": str(path)})
    assert str(caught.value) == why.format(path)
    assert caught.value.__cause__ is None
    assert_hides(caught.value, GIVEN)


@pytest.mark.parametrize(
    "content", [f'{{"auth_token": "{GIVEN}', GIVEN.encode() + b"\xff"], ids=["not JSON", "not UTF-8"]
)
def test_broken_login_leaves_nothing_behind_in_the_chain(content: str | bytes, tmp_path: Path) -> None:
    """What reports errors by their chain and its attributes, as error trackers do, finds no token there."""
    path = log_in(tmp_path / "login.json", content)
    with pytest.raises(CredentialError, match="it is not JSON") as caught:
        find({"AIVEN_CREDENTIALS_FILE": str(path)})
    held = [getattr(link, name, None) for link in chain(caught.value) for name in ("doc", "object")]
    assert not any(GIVEN in str(value) for value in held)
    assert_hides(caught.value, GIVEN)


def test_login_that_is_nested_too_deeply_is_told(tmp_path: Path) -> None:
    """Whatever the file holds, it is refused as a file that cannot be used."""
    path = log_in(tmp_path / "login.json", "[" * 200_000)
    with pytest.raises(CredentialError):
        find({"AIVEN_CREDENTIALS_FILE": str(path)})


def test_login_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A folder in the file's place is an error, while a file that is not there means that nobody logged in."""
    with pytest.raises(CredentialError, match=r"cannot read .*: Is a directory; log in again"):
        find({"AIVEN_CREDENTIALS_FILE": str(tmp_path)})
    with pytest.raises(CredentialError, match="no Aiven credential"):
        find({"AIVEN_CREDENTIALS_FILE": str(tmp_path / "none.json")})


def test_empty_login_is_none(tmp_path: Path) -> None:
    """After a logout, the file may hold an empty token."""
    path = log_in(tmp_path / "login.json", '{"auth_token": ""}')
    with pytest.raises(CredentialError, match="no Aiven credential"):
        find({"AIVEN_CREDENTIALS_FILE": str(path)})


@given(
    secret=SECRETS,
    bad=st.sampled_from(["\n", "\r\n", " ", "\t", "\x00", "\x7f", "é", "🙂", "\u2028", "\xa0"]),
    at=st.integers(0, 20),
)
def test_token_that_cannot_stand_in_a_header_is_refused_and_not_shown(secret: str, bad: str, at: int) -> None:
    """A pasted line end, a blank or a foreign character is told with its place, and nothing of the token is."""
    token = secret[:at] + bad + secret[at:]
    for environ, stack, source in (
        ({"AIVEN_TOKEN": token}, {}, "the environment variable AIVEN_TOKEN"),
        ({"AIVEN_AUTH_TOKEN": token}, {}, "the environment variable AIVEN_AUTH_TOKEN"),
        ({}, {STACK_TOKEN: token}, "the stack configuration (aiven:apiToken"),
    ):
        with pytest.raises(CredentialError) as caught:
            find(environ, stack)
        assert str(caught.value).startswith(f"the credential from {source}")
        assert str(caught.value).endswith("characters that no token has; set it anew")
        assert_hides(caught.value, max(token.split(bad), key=len))


@given(st.text(VISIBLE, min_size=1))
def test_every_visible_character_is_taken(token: str) -> None:
    """What can stand in a header is Aiven's to judge."""
    assert find({"AIVEN_TOKEN": token}).token == token


@given(SECRETS)
def test_credential_hides_its_token(secret: str) -> None:
    """A credential that is printed shows where its token came from, and not the token."""
    credential = find({"AIVEN_TOKEN": secret})
    assert secret not in f"{credential!r} {credential}"
    assert "AIVEN_TOKEN" in repr(credential)


def at(url: str, *, stack: str | None = None) -> str:
    """Find where the requests go with this URL."""
    settings_of_the_stack = {} if stack is None else {STACK_URL: stack}
    return find({"AIVEN_TOKEN": GIVEN, "AIVEN_WEB_URL": url}, settings_of_the_stack).url


def test_url_comes_from_the_environment_then_the_stack_then_aiven() -> None:
    """The first that is set names the service, and Aiven's own needs no setting."""
    assert at("https://a.example", stack="https://b.example") == "https://a.example"
    assert at("", stack="https://b.example") == "https://b.example"
    assert at("", stack="") == at("") == "https://api.aiven.io"


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://a.example/", "https://a.example"),
        ("https://a.example/v1", "https://a.example"),
        ("https://a.example/v1/", "https://a.example"),
        ("https://a.example/proxied/v1//", "https://a.example/proxied"),
        ("https://a.example:8443/api", "https://a.example:8443/api"),
        ("https://a.example/v10", "https://a.example/v10"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_url_is_the_base_of_the_api(url: str, base: str) -> None:
    """People give the URL with or without the version and a slash."""
    assert at(url) == base


@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.255.254", "127.1.2.3", "[::1]", "localhost", "LOCALHOST"])
def test_plain_http_stays_on_this_machine(host: str) -> None:
    """An emulator on a loopback address is spoken to without TLS."""
    assert at(f"http://{host}:8080") == f"http://{host}:8080"


@pytest.mark.parametrize(
    "host",
    [
        "api.aiven.io",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil-localhost",
        "localhost.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0.0.0.0",  # noqa: S104 - refused
        "[::]",
        "128.0.0.1",
        "126.255.255.255",
        "192.168.0.1",
        "[::2]",
        "localhost%2eevil.example",
        "127.0.0.1\\.evil.example",
    ],
)
def test_plain_http_to_another_machine_is_refused(host: str) -> None:
    """The credential never crosses a network in the clear, whatever a name looks like."""
    with pytest.raises(CredentialError, match="plain http is for loopback addresses; use https"):
        at(f"http://{host}:8080")


@given(st.ip_addresses())
def test_loopback_addresses_are_two_blocks(address: object) -> None:
    """127.0.0.0/8 and ::1 are this machine, and so is no other address of the internet."""
    text = str(address)
    assert is_loopback(text) == (text == "::1" or text.startswith("127."))


@pytest.mark.parametrize("host", ["", "localhost ", "127.0.0.1 ", "127.0.0.1/8", "127.0.0", "::1/128", "::g"])
def test_what_is_no_address_is_no_loopback(host: str) -> None:
    """Only the one name and whole addresses count."""
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "url",
    [
        "api.aiven.io",
        "https://",
        "https:///v1",
        "//a.example",
        "ftp://a.example",
        "file:///etc/passwd",
        "a b",
        "http://[::1",
        "https://a.example:port",
        "https://a.example:65536",
        "https://[a.example]",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    """The setting that is wrong is named, and what it should look like."""
    with pytest.raises(CredentialError) as caught:
        at(url)
    assert str(caught.value) == "AIVEN_WEB_URL is not a URL such as https://api.aiven.io; correct or unset it"
    with pytest.raises(CredentialError, match="aiven:apiUrl is not a URL"):
        at("", stack=url)


@given(
    SECRETS,
    st.sampled_from(
        [
            "https://{}@a.example",
            "https://user:{}@a.example",
            "https://:{}@a.example",
            "http://user:{}@a.example",
            "https://a.example?token={}",
            "https://a.example/v1?{}",
            "https://a.example#{}",
            "http://localhost\\@{}",
        ]
    ),
)
def test_secret_in_a_url_is_refused_and_not_shown(secret: str, form: str) -> None:
    """A URL is printed in errors and logs: user, password, query and fragment have no place in it."""
    with pytest.raises(CredentialError) as caught:
        at(form.format(secret))
    message = "AIVEN_WEB_URL may hold a scheme, a host, a port and a path only; correct or unset it"
    assert str(caught.value) == message
    assert_hides(caught.value, secret)


@pytest.mark.parametrize("url", ["https://a.example?", "https://a.example#", "https://a.example/api/?#"])
def test_empty_query_or_fragment_is_refused(url: str) -> None:
    """The API's path is put behind the URL, so nothing may end the path before."""
    with pytest.raises(CredentialError):
        at(url)


def test_scheme_is_written_small() -> None:
    """A URL is the same in capitals: what looks at its beginning must not be fooled."""
    assert at("HTTP://127.0.0.1:8080") == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    "url", ["https://a.exa\nmple", "https://a.example/\r\n", " https://a.example", "https://a .example"]
)
def test_blank_or_line_end_in_a_url_is_refused(url: str) -> None:
    """What is judged is what is sent: a URL with blanks, tabs or line ends is none."""
    with pytest.raises(CredentialError):
        at(url)


def test_ca_bundle_is_taken_where_it_is_one() -> None:
    """A file of certificates is handed on as it was named."""
    assert find({"AIVEN_TOKEN": GIVEN}).ca_bundle is None
    assert find({"AIVEN_TOKEN": GIVEN, "AIVEN_CA_CERT": certifi.where()}).ca_bundle == certifi.where()


@pytest.mark.parametrize(
    "content", [None, "", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_ca_bundle_that_is_none_is_refused(content: str | None, tmp_path: Path) -> None:
    """A file that is missing or holds no certificate is told before any request."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(CredentialError) as caught:
        find({"AIVEN_TOKEN": GIVEN, "AIVEN_CA_CERT": str(path)})
    assert str(caught.value) == f"AIVEN_CA_CERT names no file of CA certificates: {path}; correct or unset it"


# A credential that is named


EVERYWHERE = {"AIVEN_TOKEN": "usual", "AIVEN_WEB_URL": "https://usual.example"}


@pytest.mark.parametrize("name", ["AIVEN_TOKEN_STAGING", "STAGING_AIVEN_TOKEN", "_", "PW2"])
def test_named_variable_is_the_only_place(name: str) -> None:
    """The credential is what the variable holds, however many others there are, and an error can say so."""
    found = find({**EVERYWHERE, name: GIVEN}, {STACK_TOKEN: "usual"}, named=name)
    assert (found.token, found.source) == (GIVEN, f"the environment variable {name}")


def test_named_setting_is_the_only_place() -> None:
    """The credential is the stack setting's, and an error can say that refresh and destroy may have an old one."""
    found = find(EVERYWHERE, {"staging:apiToken": GIVEN}, named="staging:apiToken")
    assert found.token == GIVEN
    assert found.source.startswith("the stack configuration (staging:apiToken: refresh and destroy are given")
    assert found.source.endswith("so after a change of it run `pulumi up` without a refresh first)")


@pytest.mark.parametrize(
    ("named", "environ", "stack", "url"),
    [
        ("AIVEN_TOKEN_A", {"AIVEN_TOKEN_A_URL": "https://a.example"}, {}, "https://a.example"),
        ("PASSWORD", {"PASSWORD_URL": "https://a.example/v1"}, {}, "https://a.example"),
        ("AIVEN_TOKEN_A", {}, {}, "https://usual.example"),
        ("AIVEN_TOKEN_A", {"AIVEN_TOKEN_A_URL": ""}, {}, "https://usual.example"),
        ("AIVEN_TOKEN_A", {"AIVEN_WEB_URL": ""}, {STACK_URL: "https://b.example"}, "https://b.example"),
        ("AIVEN_TOKEN_A", {"AIVEN_WEB_URL": ""}, {}, DEFAULT_URL),
        ("PASSWORD", {}, {}, "https://usual.example"),
        ("a:apiToken", {}, {"a:apiUrl": "https://a.example"}, "https://a.example"),
        ("a:apiToken", {}, {"b:apiUrl": "https://b.example"}, "https://usual.example"),
    ],
)
def test_url_of_a_named_credential_is_named_alike(
    named: str, environ: dict[str, str], stack: dict[str, str], url: str
) -> None:
    """The account may be at another address; without one of its own, it is where the usual one is."""
    secret = {named: GIVEN}
    assert find({**EVERYWHERE, **secret, **environ}, {**secret, **stack}, named=named).url == url


def test_bad_url_of_a_named_credential_is_told_by_its_name() -> None:
    """What is to be corrected is that setting, and no other."""
    with pytest.raises(CredentialError, match=r"^A_TOKEN_URL sends the credential in the clear to a"):
        find({"A_TOKEN": GIVEN, "A_TOKEN_URL": "http://a.example"}, named="A_TOKEN")


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("A_TOKEN", "no Aiven credential in what credentials names, the environment variable A_TOKEN: set it"),
        ("a:apiToken", "the stack setting a:apiToken: `pulumi config set --secret a:apiToken`, which a refresh or a"),
    ],
)
def test_named_credential_that_is_missing_is_no_other(named: str, why: str) -> None:
    """A token must not come to be in an account that nobody named."""
    for environ in ({}, {named: ""}):
        with pytest.raises(CredentialError) as raised:
            find({**EVERYWHERE, **environ}, {STACK_TOKEN: "usual", **environ}, named=named)
        assert why in str(raised.value)


@given(SECRETS)
def test_secret_in_the_place_of_a_name_is_refused_and_not_shown(secret: str) -> None:
    """Where somebody gives the token itself, nothing repeats it."""
    with pytest.raises(CredentialError, match=r"^credentials must be") as raised:
        find(EVERYWHERE, named=f"{secret}a")
    assert_hides(raised.value, secret)
