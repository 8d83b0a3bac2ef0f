"""Which kinds of networks can be a backbone: those of this package, and those that other packages bring.

A built-in family is a module here and an entry in `FAMILIES`. A family of another package joins by an entry point of the group
`tedm.backbones`, which names a module or an object that follows `Family`. Other packages are imported only when no built-in
family recognises a checkpoint, or when a family is asked for by name: whoever uses a built-in one runs no code of theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from torch import Tensor

from tedm.errors import TedmError

from . import denoising_diffusion_pytorch, diffusers, monai, openai, tedm
from .backbone import Backbone
from .family import Content, Family
from .files.weights import under_prefix

T = TypeVar("T")
FAMILIES: tuple[Family, ...] = (tedm, openai, diffusers, monai, denoising_diffusion_pytorch)
GROUP = "tedm.backbones"
# What settings of the wrong kind raise in a family or the package that it uses, beyond what each checks itself.
BAD_SETTINGS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RecursionError, RuntimeError, TypeError,
    ValueError,
)  # fmt: skip
MEMBERS = ("NAME", "LOOKED_FOR", "recognises", "build")


def build_backbone(content: Content, *, family: str | None = None) -> Backbone:
    """Build the backbone that a checkpoint holds.

    Parameters
    ----------
    content : Content
        Tensors and settings of the checkpoint.
    family : str or None
        Name of a built-in family or of an entry point. None takes the first family that recognises the checkpoint, built-in
        ones first and the others in the order of their names.

    Raises
    ------
    TedmError
        If no family recognises the checkpoint, there is no family of that name, an entry point cannot be used, or settings and
        tensors contradict each other.
    """
    if family is not None:
        asked, entry = _named(family)
        if entry is None and not asked.recognises(content):
            below = _below_prefix(content)
            content = below if below is not None and asked.recognises(below) else content
        return _build(asked, entry, content)
    for each in FAMILIES:
        if each.recognises(content):
            return _build(each, None, content)
    below = _below_prefix(content)
    if below is not None:
        return _build(next(each for each in FAMILIES if each.recognises(below)), None, below)
    installed: list[Family] = []
    broken: list[str] = []
    for entry in _entries():
        try:
            candidate = _load(entry)
            if _guarded(entry, "recognises", lambda candidate=candidate: candidate.recognises(content)):  # type: ignore[misc]
                return _build(candidate, entry, content)
            installed.append(candidate)
        except _Broken as error:
            broken.append(str(error))
    raise _unknown(content, installed, broken)


def _below_prefix(content: Content) -> Content | None:
    """Return what a checkpoint has of a network of ours below a prefix; None if there is none.

    Raises
    ------
    TedmError
        If there are several such networks.
    """

    def known(tensors: Mapping[str, Tensor]) -> bool:
        return any(each.recognises(replace(content, tensors=tensors)) for each in FAMILIES)

    prefixes, tensors = under_prefix(content.tensors, known)
    if len(prefixes) > 1:
        raise TedmError(
            f"checkpoint {content.name} holds several networks, under the names {', '.join(f'{each}*' for each in prefixes)}; "
            "save the state_dict() of the one that is meant, alone"
        )
    return replace(content, tensors=tensors) if prefixes else None


class _Broken(TedmError):
    """An entry point that cannot be used; the text is one line."""


def _entries() -> list[EntryPoint]:
    return sorted(entry_points(group=GROUP), key=lambda entry: entry.name)


def _named(name: str) -> tuple[Family, EntryPoint | None]:
    """Return the family of a name, and its entry point; a built-in one comes before an entry point of the same name."""
    for family in FAMILIES:
        if name == family.NAME:
            return family, None
    entries = _entries()
    for entry in entries:
        if entry.name == name:
            return _load(entry), entry
    known = ", ".join([*(family.NAME for family in FAMILIES), *(entry.name for entry in entries)])
    raise TedmError(f"there is no family of backbones {name!r}; known are {known}")


def _load(entry: EntryPoint) -> Family:
    family: Family = _guarded(entry, "import", entry.load)
    absent = [member for member in MEMBERS if not hasattr(family, member)]
    if absent:
        raise _broken(entry, f"{entry.value} has no {', '.join(absent)}")
    return family


def _build(family: Family, entry: EntryPoint | None, content: Content) -> Backbone:
    if entry is None:
        try:
            return family.build(content)
        except TedmError:
            raise
        except BAD_SETTINGS as error:
            first = next(iter(str(error).splitlines()), "")
            raise TedmError(
                f"the settings of checkpoint {content.name} make no backbone of the family {family.NAME}: "
                f"{type(error).__name__}{f', {first}' if first else ''}. Use settings as its training had them."
            ) from error
    backbone = _guarded(entry, "build", lambda: family.build(content))
    if not isinstance(backbone, Backbone):
        raise _broken(entry, f"build returned {type(backbone).__name__} and not a Backbone")
    return backbone


def _guarded(entry: EntryPoint, what: str, work: Callable[[], T]) -> T:
    """Do something with the code of another package; what it raises becomes one line that names the package."""
    try:
        return work()
    except TedmError:
        raise
    except Exception as error:  # the code of others can fail in any way
        first = next(iter(str(error).splitlines()), "")
        raise _broken(entry, f"{what} failed with {type(error).__name__}{f': {first}' if first else ''}") from error


def _broken(entry: EntryPoint, cause: str) -> _Broken:
    package = f" of the package {entry.dist.name}" if entry.dist is not None else ""
    remedy = "mend or uninstall that package"
    return _Broken(f"the entry point {entry.name!r}{package} in {GROUP} cannot be used: {cause}; {remedy}")


def _unknown(content: Content, installed: Sequence[Family], broken: Sequence[str]) -> TedmError:
    some = ", ".join(list(content.tensors)[:3]) or "no tensors"
    return TedmError(
        f"checkpoint {content.name} is of an architecture that is not known\n"
        f"  looked for: {'; '.join(family.LOOKED_FOR for family in (*FAMILIES, *installed))}\n"
        f"  found: {len(content.tensors)} tensors ({some}, ...)\n"
        + "".join(f"  {line}\n" for line in broken)
        + "Use a checkpoint of one of these networks."
    )
