"""Libraries that only some parts of the package need."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


def optional(module: str, extra: str) -> ModuleType:
    """Import a library that is not installed with the core.

    Parameters
    ----------
    module : str
        Its name.
    extra : str
        The extra of this package that installs it.

    Returns
    -------
    module
        The library.

    Raises
    ------
    ImportError
        If it is not there; the message says how to install it.

    Examples
    --------
    >>> optional("a_missing_library", "rl")
    Traceback (most recent call last):
        ...
    ImportError: a_missing_library is not installed: pip install "behaviorseq[rl]" installs it
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise  # it is there, and something that it needs is not
        raise ImportError(
            f'{module} is not installed: pip install "behaviorseq[{extra}]" installs it'
        ) from error
