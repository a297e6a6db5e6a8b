"""Delta debugging over a program's operations: the smallest program that still differs."""


def _without(operations, start, length):
    return operations[:start] + operations[start + length:]


def candidates(operations):
    """Shorter programs, the shortest first: one piece left out, in pieces of a half down to one operation."""
    found = []
    length = len(operations) // 2
    while length:
        found += [_without(operations, start, length) for start in range(0, len(operations), length)]
        length //= 2
    return found


def shrink(operations, which_differ, say=lambda text: None):
    """`which_differ(programs)`: the indices of those that do; it is asked about many at once, as one boot may judge them all.
    What is returned differs, and no program that leaves one operation out does."""
    while len(operations) > 1:
        shorter = candidates(operations)
        differing = which_differ(shorter)
        if not differing:
            break
        operations = min((shorter[index] for index in differing), key=len)
        say(f"{len(operations)} operations")
    return operations
