"""Exceptions. Each names the argument, its value and what is accepted; `remedy` says what the caller can do."""


class SageError(Exception):
    """Base of everything that this package raises on purpose."""

    def __init__(self, message, remedy=""):
        super().__init__(f"{message} ({remedy})" if remedy else message)
        self.message, self.remedy = message, remedy


class InvalidArgumentError(SageError, ValueError):
    """A value that no call accepts: a shape, a stride, a scale, …"""


class ArgumentTypeError(SageError, TypeError):
    """An argument of a type, or of an element type, that no call accepts."""


class UnsupportedError(SageError, NotImplementedError):
    """Meaningful, but not available: a feature, a head dim, a chip without a precompiled artifact."""


class ArtifactError(SageError, ValueError):
    """An artifact is damaged, or of an unknown version."""


class DeviceError(SageError, RuntimeError):
    """No driver, no such device, a device of another chip, or a driver call that failed."""


class FileError(SageError, OSError):
    """A file that cannot be read."""


class HostMemoryError(SageError, MemoryError):
    """The host's memory did not suffice."""


#: By sage_status_code.
BY_CODE = {1: InvalidArgumentError, 2: ArtifactError, 3: DeviceError, 4: DeviceError, 5: DeviceError, 6: DeviceError,
           7: FileError, 8: HostMemoryError, 9: UnsupportedError}


def describe(value):
    """A value as errors show it: short, on one line."""
    text = repr(value)
    return text if len(text) <= 80 and "\n" not in text else f"a {type(value).__module__}.{type(value).__qualname__}"


def choice(name, value, accepted):
    """`value`, which must be one of `accepted`."""
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{name} must be a text, one of {', '.join(accepted)}, but got {describe(value)}")
    if value not in accepted:
        raise InvalidArgumentError(f"{name} must be one of {', '.join(accepted)}, but got {value!r}")
    return value
