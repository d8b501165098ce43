"""Who goes before whom, where several are measured in turns."""


def order(names: tuple[str, ...], round_: int, operation: int) -> tuple[str, ...]:
    """In every second round the other way round, and another one begins after that."""
    first = (round_ // 2 + operation) % len(names)
    turned = names[first:] + names[:first]
    return turned[::-1] if round_ % 2 else turned
