"""What is measured: the operations of a stack's life, in their order."""

from typing import Literal, NamedTuple, get_args

Operation = Literal["first up", "unchanged up", "preview", "refresh", "changed up", "destroy"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)


class Work(NamedTuple):
    """What an operation is to do, however it is done."""

    operation: Operation
    tokens: int
    """How many are declared."""

    @property
    def is_changed(self) -> bool:
        """Whether one token in ten has another description than before."""
        return self.operation in ("changed up", "destroy")

    @property
    def are_left(self) -> bool:
        """Whether there are tokens when it is done."""
        return self.operation != "destroy"
