"""Packages that only some users need: imported where they are used, and named with what to install where they are not there."""

from __future__ import annotations

import importlib
from types import ModuleType

from tedm.errors import TedmError


def package(module: str, extra: str, what: str) -> ModuleType:
    """Import a module of an optional package.

    Parameters
    ----------
    module : str
        Its full name.
    extra : str
        The extra of tedm that brings the package.
    what : str
        What needs it, for the message: a file, say.

    Raises
    ------
    TedmError
        If it is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise TedmError(f"{what} needs a package that is not installed ({error.name}): pip install 'tedm[{extra}]'") from error
    except Exception as error:  # an installation can be broken in any way
        first = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise TedmError(
            f"{what} needs {module.split('.')[0]}, which is installed but cannot be imported: {first}. "
            f"Mend it with pip install 'tedm[{extra}]'"
        ) from error
