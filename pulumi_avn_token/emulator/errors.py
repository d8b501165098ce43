"""What can keep the emulator from running."""

_LONGEST_NAME = 255


def short(name: object) -> str:
    """A name as it may be told: one that is longer than a file's can be may be a token in the wrong place."""
    text = str(name)
    return text if len(text) <= _LONGEST_NAME else f"{text[:12]}…"


class EmulatorError(Exception):
    """The emulator cannot start; the message is one line for a person."""
