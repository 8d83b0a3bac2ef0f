"""Who computes: this process, or the workers of a Dask cluster.

What has to be done for many images is a function of a context (the training data, say) and some of the names; it yields
results. Here it runs once over all names; on a cluster each worker gets the context once and runs it over parts of the names.
Dask repeats a part whose worker is lost on another one.
"""

from __future__ import annotations

import contextlib
import pickle
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Protocol, TypeVar

from tedm.errors import TedmError

C = TypeVar("C")
R = TypeVar("R")

# Parts for each thread of the cluster: more even out workers of different speed, and each costs a message.
PARTS_PER_THREAD = 2
# Seconds to wait for a scheduler, and for its first worker.
CONNECT_SECONDS = 10
WORKER_SECONDS = 60


class Workers(Protocol):
    """Where functions of images run."""

    @property
    def cluster(self) -> Cluster | None:
        """The Dask cluster; None for this process."""

    def over(self, function: Callable[..., Iterable[R]], context: Any, names: Sequence[str], *args: Any) -> Iterator[R]:
        """Yield the results of `function(context, names, *args)`, in the order of the names.

        The names may be cut into parts, each given to a call of its own: a function that sums yields one sum for each part.
        Function, context and arguments must survive pickling.
        """


class ThisProcess:
    """This process computes by itself."""

    cluster: None = None

    def over(self, function: Callable[..., Iterable[R]], context: Any, names: Sequence[str], *args: Any) -> Iterator[R]:
        """Call the function once for all names."""
        yield from function(context, names, *args)


HERE = ThisProcess()


class Cluster:
    """A running Dask cluster; use `connect`.

    Parameters
    ----------
    client : distributed.Client
        Connected.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self._parts = PARTS_PER_THREAD * max(1, sum(client.nthreads().values()))
        self._sent: tuple[Any, Any] = (None, None)

    @property
    def cluster(self) -> Cluster:
        """This one."""
        return self

    @property
    def size(self) -> int:
        """How many workers there are now."""
        return len(self.client.scheduler_info(n_workers=-1)["workers"])

    def over(self, function: Callable[..., Iterable[R]], context: Any, names: Sequence[str], *args: Any) -> Iterator[R]:
        """Call the function for each part of the names; the parts are the same at every pass, so that sums are."""
        with plain_cluster_errors():
            sent = self.send(context)
            count = min(self._parts, len(names))
            edges = [len(names) * part // count for part in range(count + 1)]
            parts = [list(names[start:stop]) for start, stop in pairwise(edges)]
            futures = [self.client.submit(_run, function, sent, part, args, pure=False) for part in parts]
            try:
                while futures:
                    yield from futures.pop(0).result()
            finally:
                for future in futures:
                    future.cancel()

    def send(self, context: Any) -> Any:
        """Send the context to the workers, and return a future of it.

        It is the result of a task, not scattered data: when every worker that has it is lost, Dask makes it again.
        """
        if self._sent[0] is not context:
            packed = zlib.compress(pickle.dumps(context), 1)
            self._sent = (context, self.client.submit(_unpack, packed, pure=False))
        return self._sent[1]


@contextlib.contextmanager
def connect(address: str | None) -> Iterator[Workers]:
    """Connect to the workers of a Dask cluster; None stands for this process.

    Parameters
    ----------
    address : str or None
        Of the scheduler: tcp://host:port.

    Raises
    ------
    TedmError
        If there is no scheduler at the address, or it has no worker.
    """
    if address is None:
        yield HERE
        return
    import distributed

    new_client: Any = distributed.Client  # it has no annotations

    try:
        client = new_client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError, ImportError) as error:
        cause = (str(error) or type(error).__name__).splitlines()[0]
        raise TedmError(
            f"no Dask scheduler answers at {address} ({cause}); "
            "start one with dask scheduler, and give the address that it prints"
        ) from error
    try:
        with plain_cluster_errors(address):
            try:
                client.wait_for_workers(1, timeout=WORKER_SECONDS)
            except TimeoutError as error:
                raise TedmError(
                    f"the Dask scheduler at {address} has no worker; start some with dask worker {address}"
                ) from error
            yield Cluster(client)
    finally:
        with contextlib.suppress(Exception):  # a scheduler that is gone cannot be taken leave of
            client.close(timeout=2)


@contextlib.contextmanager
def plain_cluster_errors(address: str = "the cluster") -> Iterator[None]:
    """Turn what a lost cluster raises into one line."""
    from concurrent.futures import CancelledError

    from distributed import KilledWorker
    from distributed.comm.core import CommClosedError

    try:
        yield
    except KilledWorker as error:
        raise TedmError(
            f"a part was lost with each of {error.allowed_failures + 1} workers that tried it; were they killed for memory? "
            "Give workers more memory (dask worker --memory-limit), or fewer threads each (--nthreads 1)"
        ) from error
    except (CancelledError, CommClosedError, TimeoutError) as error:
        raise TedmError(
            f"the connection to {address} was lost ({type(error).__name__}); nothing that was finished is lost: "
            "start the scheduler and its workers again, and repeat the command"
        ) from error


def _unpack(packed: bytes) -> Any:
    """Unpack a context, on a worker."""
    try:
        return pickle.loads(zlib.decompress(packed))
    except TedmError as error:
        raise TedmError(f"a worker cannot read it: {error}\nA store must have the same path on every worker.") from error


def _run(function: Callable[..., Iterable[R]], context: Any, names: Sequence[str], args: tuple[Any, ...]) -> list[R]:
    """Compute one part, on a worker."""
    return list(function(context, names, *args))
