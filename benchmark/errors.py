"""The error for mistakes of the user."""


class InputError(ValueError):
    """Something the user gave is wrong.

    The message is one line: what is wrong, where, and what to do. Entry points print it without a
    traceback and exit with 1.
    """
