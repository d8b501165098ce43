"""What reaches a terminal of a text that somebody else wrote."""

import pytest

from pulumi_avn_token.diagnostics import say
from pulumi_avn_token.errors import AvnTokenError
from pulumi_avn_token.terminal import inert, printable

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
