"""What Kiln raises. The message says what, where, why and what to do, and ends with the code."""


class Error(RuntimeError):
    """Any error of Kiln. `code` is its number: 412 for KILN-E0412."""

    def __init__(self, message, code=0):
        super().__init__(message)
        self.code = code


class UnsupportedError(Error):
    """The model uses operators or types that Kiln does not support; the message lists all of them."""


class InputError(Error, ValueError):
    """An input of a run is missing, unknown, or has another type or shape than the model takes."""


def input_error(code, message):
    """The InputError for a number, its message with the code as the library writes it."""
    return InputError(f"{message} [KILN-E{code:04d}]", code)


# Errors of runs that no other input would avoid: out of memory, cancelled, states that are invalid or in use.
_NOT_INPUTS = {510, 518, 521, 522}


def make(code, message):
    """The exception for an error number (see docs/errors.md): 2xx unsupported, 5xx inputs of a run."""
    kind = Error if code in _NOT_INPUTS else {2: UnsupportedError, 5: InputError}.get(code // 100, Error)
    return kind(message, code)
