"""What the client does for a series: a new token's own request, a lost answer, and the service's clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from importlib.metadata import version

import pytest

from pulumi_avn_token.client import Client
from pulumi_avn_token.credentials import Credential
from pulumi_avn_token.emulator import Emulator
from pulumi_avn_token.errors import (
    AnswerLostError,
    ApiError,
    AuthenticationError,
    ForbiddenError,
    InvalidRequestError,
    RateLimitError,
    ServerError,
    TokenNotFoundError,
    UnexpectedAnswerError,
)
from pulumi_avn_token.marks import find_strays, marked, without_own_use
from pulumi_avn_token.model import IssuedToken, TokenInfo, TokenSpec
from tests.account import Observer
from tests.contract.servers import (
    CREDENTIAL,
    DROPPED,
    EVERYTHING,
    ISSUED,
    ME,
    SOURCE,
    SPEC,
    Answer,
    Clients,
    Server,
    cut,
    failure,
    page,
    refusal,
    said,
    token_object,
)

MARK = "series-0123456789abcdef"
PRODUCT = f"pulumi-avn-token/{version('pulumi-avn-token')}"
NEW = IssuedToken(info=TokenInfo(token_prefix=ISSUED[:12], description="d"), full_token=ISSUED)
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)


def test_new_token_describes_itself(clients: Clients) -> None:
    """Its own credential and the mark go into that one request, over the others' connection, and into no other."""
    with Server(EVERYTHING) as server:
        client = clients.make(server.url)
        client.create(SPEC)
        assert client.introduce(NEW, "CI deploys", MARK).token_prefix == ISSUED[:12]
        client.list_tokens()
    assert [
        (request.connection, request.line.split()[0], request.headers["authorization"], request.headers["user-agent"])
        for request in server.requests
    ] == [
        (0, "POST", f"aivenv1 {CREDENTIAL}", PRODUCT),
        (0, "PUT", f"aivenv1 {ISSUED}", f"{PRODUCT} ({MARK})"),
        (0, "GET", f"aivenv1 {CREDENTIAL}", PRODUCT),
    ]
    assert server.requests[1].body == b'{"description": "CI deploys"}'


def test_account_shows_by_whom_a_token_was_introduced(emulator: Emulator, observer: Observer, clients: Clients) -> None:
    """Afterwards the token has its description, and its last use tells the series that it belongs to."""
    client = clients.make(emulator.url, emulator.token)
    issued = client.create(TokenSpec(description=marked("CI deploys", MARK)))
    assert find_strays(client.list_tokens(), MARK, ()) == [issued.info.token_prefix]
    introduced = client.introduce(issued, "CI deploys", MARK)
    assert introduced.currently_active
    shown = observer.tokens()["CI deploys"]
    assert shown["last_user_agent"] == f"{PRODUCT} ({MARK})"
    assert shown["last_used_time"] is not None
    tokens = client.list_tokens()
    assert find_strays(tokens, MARK, ()) == [issued.info.token_prefix]
    (token,) = (token for token in tokens if token.token_prefix == issued.info.token_prefix)
    assert without_own_use(token).last_used_time is None
    assert {token.token_prefix: token.currently_active for token in tokens}[emulator.token[:12]]


def test_use_by_a_consumer_takes_the_mark_away(emulator: Emulator, observer: Observer, clients: Clients) -> None:
    """Once somebody got the token and used it, it is no longer one that nobody got."""
    client = clients.make(emulator.url, emulator.token)
    issued = client.create(TokenSpec(description=marked("CI deploys", MARK)))
    client.introduce(issued, "CI deploys", MARK)
    assert observer.works(issued.full_token)
    assert find_strays(client.list_tokens(), MARK, ()) == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(401, "Invalid token"), AuthenticationError),
        (refusal(403, "Not from here", "api_client_ip_allowlist_blocks_caller"), ForbiddenError),
        (refusal(400, "Invalid input for description"), InvalidRequestError),
        (refusal(404, "Token not found"), TokenNotFoundError),
        (page(), UnexpectedAnswerError),
        (said({"message": "updated"}), UnexpectedAnswerError),
        (DROPPED, AnswerLostError),
        (cut(EVERYTHING), AnswerLostError),
    ],
    ids=["credential", "address", "input", "absence", "page", "no-token", "dropped", "cut"],
)
def test_failing_introduction_tells_no_secret(clients: Clients, answer: Answer, kind: type[ApiError]) -> None:
    """Whatever comes back, even the new token itself, no error shows more of it than its prefix."""
    with Server(answer) as server:
        message = failure(kind, lambda: clients.make(server.url).introduce(NEW, "CI deploys", MARK))
    assert message.startswith(f"updating token {ISSUED[:12]} as itself failed")


def dated(date: str | None, answer: Callable[..., Answer] = said, *given: object) -> Answer:
    """An answer with a Date header, or without one."""
    return answer(*(given or (ME,)), headers={} if date is None else {"Date": date})


def at(seconds: float) -> str:
    """What the service's clock says, so many seconds ahead of the machine's."""
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


@pytest.fixture
def connect() -> Iterator[Callable[[Server], Client]]:
    """Give what makes a client whose machine's clock stands still at NOW."""
    made: list[Client] = []

    def client(server: Server) -> Client:
        credential = Credential(token=CREDENTIAL, source=SOURCE, url=server.url)
        made.append(Client(credential, sleep=lambda _: None, now=lambda: NOW))
        return made[-1]

    yield client
    for each in made:
        each.close()


DAY = 24 * 60 * 60


@pytest.mark.parametrize(
    ("ahead", "skew"),
    [
        (0, 0),
        (1, 0),  # the header tells whole seconds: half a second more is as likely as none
        (2, 2.5),
        (-1, 0),
        (-2, 0),
        (-3, -2.5),
        (3600, 3600.5),
        (-400 * DAY, -400 * DAY + 0.5),
        (400 * DAY, 400 * DAY + 0.5),
    ],
)
def test_clock_of_the_service_is_told_by_its_answers(
    connect: Callable[[Server], Client], ahead: float, skew: float
) -> None:
    """The skew is what the Date header says, to the middle of its second; what it leaves open is no skew."""
    with Server(dated(at(ahead))) as server:
        client = connect(server)
        assert client.clock_skew == timedelta()
        client.me()
        assert client.clock_skew == timedelta(seconds=skew)


def test_clock_is_that_of_the_last_answer(connect: Callable[[Server], Client]) -> None:
    """A clock that is set right, or wrong, is followed from answer to answer, by every call."""
    body = {**token_object(), **ME, "tokens": [], "full_token": ISSUED}
    dates = [7200, 0, -7200, 3600, 1]
    with Server(*(dated(at(ahead), said, body) for ahead in dates)) as server:
        client = connect(server)
        calls: list[Callable[[], object]] = [
            client.me,
            client.list_tokens,
            lambda: client.create(SPEC),
            lambda: client.introduce(NEW, "d", MARK),
            lambda: client.revoke(ISSUED[:12]),
        ]
        seen = []
        for call in calls:
            call()
            seen.append(client.clock_skew.total_seconds())
    assert seen == [7200.5, 0, -7199.5, 3600.5, 0]


@pytest.mark.parametrize(
    "date",
    [
        None,
        "",
        "now",
        "Tue, 24 Nov 2026",
        "1793527200",
        "Tue, 99 Nov 2026 12:00:00 GMT",
        "Tue, 24 Nov 2026 25:61:61 GMT",
        "Tue, 24 Nov 99999 12:00:00 GMT",
        "Tue, 24 Nov 2026 12:00:00 -0000",
        "2026-11-24T12:00:00Z",
        "Tue, 24 Nov 99999999999999999999 12:00:00 GMT",
    ],
)
def test_date_that_tells_nothing_changes_nothing(connect: Callable[[Server], Client], date: str | None) -> None:
    """Without a Date that makes sense, the call succeeds, and the clock stays what it was known to be."""
    with Server(dated(date), dated(at(7200)), dated(date)) as server:
        client = connect(server)
        client.me()
        assert client.clock_skew == timedelta()
        client.me()
        client.me()
        assert client.clock_skew == timedelta(seconds=7200.5)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (dated(at(DAY), refusal, 400, "Invalid input"), InvalidRequestError),
        (dated(at(DAY), refusal, 401, "Missing (expired) db token"), AuthenticationError),
        (dated(at(DAY), refusal, 429, "Rate limit"), RateLimitError),
        (dated(at(DAY), refusal, 500, "Oops"), ServerError),
        (dated(at(DAY), said, {"error": True, "message": "Oops"}), ServerError),
        (dated(at(DAY), page, 200), UnexpectedAnswerError),
        (dated(at(DAY), page, 503), ServerError),
        (dated(at(DAY), page, 302), UnexpectedAnswerError),
    ],
    ids=["400", "401", "429", "500", "error", "page", "503", "302"],
)
def test_clock_of_an_error_does_not_count(
    connect: Callable[[Server], Client], answer: Answer, kind: type[ApiError]
) -> None:
    """An error may be anybody's on the way: only an answer of the API tells its time."""
    with Server(answer) as server:
        client = connect(server)
        failure(kind, client.me)
        assert client.clock_skew == timedelta()


def test_clock_of_a_try_that_was_repeated_does_not_count(connect: Callable[[Server], Client]) -> None:
    """After tries that failed, the time is that of the answer which was taken."""
    with Server(dated(at(DAY), page, 503), dated(at(7200))) as server:
        client = connect(server)
        client.me()
        assert len(server.requests) == 2
        assert client.clock_skew == timedelta(seconds=7200.5)


def test_clock_of_the_emulator_is_told(emulator: Emulator) -> None:
    """A client of an emulator whose clock was moved knows its time."""
    with closing(Client(Credential(token=emulator.token, source=SOURCE, url=emulator.url))) as client:
        for days in (-400, 0, 400):
            emulator.clock_offset = days * DAY
            client.me()
            assert abs(client.clock_skew - timedelta(days=days)) <= timedelta(seconds=5)
