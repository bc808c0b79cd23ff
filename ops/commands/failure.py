"""How a command fails."""


class CommandFailed(Exception):
    """The message is one line: the cause, and what to do about it."""

    def __init__(self, message: str, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status
