"""Rules that all readers of files share: how a file that cannot be read is named, and which numbers are labels."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError

TOO_LARGE = "too large for the memory that is free; save a smaller copy, or free some"


@contextmanager
def naming(path: Path, what: str = "an image file") -> Iterator[None]:
    """Turn every way in which a file cannot be read into one sentence that names it; `what` it should have been."""
    try:
        yield
    except TedmError:
        raise
    except FileNotFoundError:
        raise TedmError(f"{path}: {broken_link(path) or 'no such file'}") from None
    except IsADirectoryError:
        raise TedmError(f"{path}: a folder, not {what}") from None
    except PermissionError:
        raise TedmError(f"{path}: may not be read (permission denied)") from None
    except MemoryError as error:
        raise TedmError(f"{path}: {TOO_LARGE}") from error
    except Exception as error:  # decoders of broken files raise anything, from struct.error to SyntaxError
        said = " ".join(str(error).split()) or type(error).__name__
        raise TedmError(f"{path}: cannot be decoded ({said})") from error


def broken_link(path: Path) -> str | None:
    """Return what is wrong with a link to something that is not there, with what to do; None for everything else."""
    if not path.is_symlink():
        return None
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "a link that leads back to itself; delete it, or let it lead to the file"
    if path.exists():
        return None
    return f"a link to {path.readlink()}, which is not there; fetch it, mount its disk, or delete the link"


def whole_numbers(path: Path, values: NDArray[Any]) -> NDArray[np.int32]:
    """Return a mask's numbers as integers, or refuse those that are none.

    Parameters
    ----------
    path : Path
        The file, for messages.
    values : array of any shape
        The numbers of the file.

    Returns
    -------
    array of the same shape
        Integers, int32.
    """
    # From here on floats of this type miss whole numbers, so that what is stored may be another label rounded.
    exact = 2.0 ** (np.finfo(values.dtype).nmant + 1) if values.dtype.kind == "f" else np.inf
    if values.dtype.kind == "f" and ((values != np.trunc(values)) | (np.abs(values) > exact)).any():
        raise TedmError(f"{path}: a mask with values that are no whole numbers; save class values as integers")
    limits = np.iinfo(np.int32)
    if float(values.min()) < limits.min or float(values.max()) > limits.max:
        raise TedmError(f"{path}: a mask with values beyond 32 bits; save small class values")
    return values.astype(np.int32)
