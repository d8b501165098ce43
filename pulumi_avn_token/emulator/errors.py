"""What can keep the emulator from running."""


class EmulatorError(Exception):
    """The emulator cannot start; the message is one line for a person."""
