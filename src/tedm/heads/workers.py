"""Who computes: this process, or the workers of a Dask cluster.

What has to be done for many images is a function of a context (the training data, say) and some of the names; it yields
results. Here it runs once over all names; on a cluster each worker gets the context once and runs it over parts of the names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

C = TypeVar("C")
R = TypeVar("R")


class Workers(Protocol):
    """Where functions of images run."""

    def over(self, function: Callable[..., Iterable[R]], context: Any, names: Sequence[str], *args: Any) -> Iterator[R]:
        """The results of `function(context, names, *args)`, in the order of the names.

        The names may be cut into parts, each given to a call of its own: a function that sums yields one sum for each part.
        Function, context and arguments must survive pickling.
        """


class ThisProcess:
    """No cluster."""

    def over(self, function: Callable[..., Iterable[R]], context: Any, names: Sequence[str], *args: Any) -> Iterator[R]:
        """One call for all names."""
        yield from function(context, names, *args)


HERE = ThisProcess()
