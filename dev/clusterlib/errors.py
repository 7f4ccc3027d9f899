"""The two ways a command ends badly. No I/O."""


class Missing(Exception):
    """A prerequisite is missing; the text says which and what to do. Exit code 2."""


class Failure(Exception):
    """Something that should have worked did not. Exit code 1."""
