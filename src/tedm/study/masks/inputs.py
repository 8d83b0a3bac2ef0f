"""The images that masks are made of, told apart without opening them where that is enough, and else by what is in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

from tedm.errors import TedmError
from tedm.files import digest_of_file
from tedm.jsons import JsonValue
from tedm.store import Features
from tedm.store.sources import Source, Stamp, files_in


class Inputs:
    """Some images, and the files that they are of.

    Parameters
    ----------
    features : Features
    names : sequence of str
    sources : mapping of str to Source
        The files of images as a store has read them.
    files_of : callable or None
        The files of an image, where there is no store; None is for a store, which has the pictures themselves.
    """

    def __init__(
        self,
        features: Features,
        names: Sequence[str],
        sources: Mapping[str, Source],
        files_of: Callable[[str], Iterable[Path]] | None,
    ) -> None:
        self._features, self._names, self._sources, self._files_of = features, list(names), sources, files_of

    def listed(self) -> str:
        """Return a digest of the images as a directory shows them: names, sizes, and sizes and times of files."""
        labels = self._features.labels
        sizes = (labels.original_sizes[labels.index(name)] for name in self._names)
        return digest_of([[name, *size, *self._stamp(name)] for name, size in zip(self._names, sizes, strict=True)])

    def content(self) -> str:
        """Return a digest of what is in the images: of the bytes of their files, each read once, or of a store's pictures.

        Raises
        ------
        TedmError
            If a file cannot be read.
        """
        if self._files_of is None:
            return digest_of([[name, sha256(self._features.image(name).tobytes()).hexdigest()] for name in self._names])
        content_of = cache(_content_of_file)  # of a volume, every slice names the same files
        files = {name: [file for path in self._files_of(name) for file in files_in(path)] for name in self._names}
        return digest_of([[name, *(content_of(file) for file in files[name] if not file.is_dir())] for name in self._names])

    def _stamp(self, name: str) -> Stamp:
        return self._sources[name].image if self._files_of is None else Stamp.of(*self._files_of(name))


def digest_of(values: JsonValue) -> str:
    """Return the first half of a SHA-256 of some values: enough to tell two apart, and to be said in a line."""
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


def _content_of_file(path: Path) -> str:
    try:
        return digest_of_file(path)
    except OSError as error:
        raise TedmError(f"cannot read {path}: {error.strerror or error}") from error
