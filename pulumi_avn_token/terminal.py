"""What may reach the terminal of a `pulumi` command of a text that somebody else wrote."""


def printable(text: str) -> str:
    """The text without what would move the cursor, or cannot be seen."""
    return text if text.isprintable() else "".join(character for character in text if character.isprintable())


def is_whole(text: str) -> bool:
    """Whether a text can be written at all: JSON and YAML can hold halves of characters."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def inert(text: str) -> str:
    """The text without what the engine cannot take: half a character, and what it takes for a colour, `<{%red%}>`.

    It panics, in the middle of an operation, where it knows no such colour, and anybody who has a token can send it a
    User-Agent.
    """
    return (text if is_whole(text) else text.encode(errors="replace").decode()).replace("<{%", "<{ %")


def one_line(text: str) -> str:
    """The text on one line: what ends lines or moves along them becomes a blank, what cannot be seen goes."""
    if text.isprintable():  # a blank is the only space that is
        return text
    return printable("".join(" " if character.isspace() else character for character in text))
