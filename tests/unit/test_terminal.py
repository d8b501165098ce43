"""What reaches a terminal of a text that somebody else wrote."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pulumi_avn_token.diagnostics import say
from pulumi_avn_token.errors import AvnTokenError
from pulumi_avn_token.terminal import inert, one_line, printable

COLOUR = "curl <{%x%}>/8"
INERT = "curl <{ %x%}>/8"


def test_name_of_a_colour_is_broken() -> None:
    """The engine ends where it knows no such colour; any other text stays as it is."""
    assert inert(COLOUR) == INERT
    assert inert("<{ <%> {%red%}") == "<{ <%> {%red%}"


def test_every_way_to_the_terminal_is_guarded(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither an error nor a message holds one."""
    say("warning", COLOUR)
    assert capsys.readouterr().err == f"warning: {INERT}\n"
    assert str(AvnTokenError(COLOUR)) == INERT


def test_cursor_is_not_moved() -> None:
    """What cannot be seen is left out."""
    assert printable("a\x1b[2Jb\r\n\u202ec é") == "a[2Jbc é"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("CI deploys of 7", "CI deploys of 7"),
        ("żółw 日本語 🙂", "żółw 日本語 🙂"),
        ("two\nlines\r\nor\tthree", "two lines  or three"),
        ("a\x0bb\x0cc\x1cd\x1de\x1ef\x1fg", "a b c d e f g"),
        ("a\x85b\u2028c\u2029d\xa0e\u3000f", "a b c d e f"),
        ("a\x00b\x07c\x1b[2Jd\x7fe\x9bf", "abc[2Jdef"),
        ("a\u202eb\u200bc\ufeffd\xade\ud800f", "abcdef"),
        (" spaces  stay ", " spaces  stay "),
    ],
)
def test_text_stays_on_its_line(text: str, line: str) -> None:
    """What ends a line or moves along it becomes a blank, what cannot be seen goes, and all else stays."""
    assert one_line(text) == line


@given(st.text(st.characters(), max_size=60))
@example("\u2028\n")
def test_every_text_is_one_line(text: str) -> None:
    """Whatever somebody wrote, it can be shown, is one line at most, and is what can be seen of it."""
    line = one_line(text)
    assert line.isprintable()
    assert len(line.splitlines()) <= 1
    assert len(line) <= len(text)
    assert one_line(line) == line
    assert line.replace(" ", "") == printable(text).replace(" ", "")
