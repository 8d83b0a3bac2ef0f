"""Which heads there are, by name: those of this package, and those that others bring by entry point.

A package joins with an entry point of the group `tedm.heads`: its name is what `--head` takes, its value the class
(`my_package.my_module:MyHead`), which follows `tedm.heads.base.head.Head`. A class is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import entry_points
from inspect import signature
from math import isfinite
from typing import Any, cast, get_type_hints

import msgspec

from tedm.devices import choose_device
from tedm.errors import TedmError
from tedm.heads.base.head import Capabilities, ChecksSettings, Head, HeadOptions
from tedm.heads.data.sampling import require_word
from tedm.jsons import JsonValue
from tedm.text import did_you_mean, listed

GROUP = "tedm.heads"
SEEDS = 2**63  # there are as many, and as many below 0
BUILT_IN = {
    "mlp": "tedm.heads.mlp.head:MLPHead",
    "logistic": "tedm.heads.linear.logistic:LogisticHead",
    "xgboost": "tedm.heads.boosting.head:XGBoostHead",
    "sklearn": "tedm.heads.estimator.head:EstimatorHead",
    "unet": "tedm.heads.unet.head:UNetHead",
    "committee": "tedm.heads.committee.head:CommitteeHead",
}
# Heads of this package that need a package of others, and the extras that bring it: the first, or for a machine without a GPU.
EXTRAS = {"xgboost": ("xgboost", "xgboost-cpu")}
MEMBERS = ("fit_blocks", "opinions", "needs_validation", "report", "remarks", "constructor", "save", "restore")


def head_class(head: str) -> type[Head]:
    """Return the class of a head.

    Parameters
    ----------
    head : str
        "mlp", "logistic", "xgboost", "sklearn:module.Class", or the name of an entry point.

    Raises
    ------
    TedmError
        If there is no such head, or its package cannot be imported.
    """
    kind, colon, rest = head.partition(":")
    registered = _registered().get(kind)
    if registered is not None:
        cls = registered.load()
        if bool(colon and rest) == (cls.capabilities.named_by is not None):
            return cls
    if kind.startswith("sklearn."):
        raise TedmError(f"there is no head {head!r}; did you mean sklearn:{kind.removeprefix('sklearn.')}?")
    raise TedmError(
        f"there is no head {head!r}; choose one of {listed(name for name in known_heads() if name != 'sklearn')} or "
        "sklearn:module.Class, sklearn:ensemble.RandomForestClassifier say"
    )


def known_heads() -> list[str]:
    """Return the names of all heads: those of this package, then those that others bring."""
    return list(_registered())


def make_head(
    head: str,
    options: HeadOptions | None = None,
    params: Mapping[str, JsonValue] | None = None,
    *,
    seed: int = 0,
    device: str = "cpu",
    from_method: Mapping[str, JsonValue] | None = None,
) -> Head:
    """Make an unfitted head.

    Parameters
    ----------
    head : str
        See `head_class`.
    options : HeadOptions or None
        What was asked for.
    params : mapping or None
        Arguments of the class by their own names; of the estimator, for "sklearn:...".
    seed, device
        For those that draw numbers, or can compute elsewhere.
    from_method : mapping or None
        What the method decides ("members", "vote", "pixels_per_batch"), for heads that take it.

    Raises
    ------
    TedmError
        If there is no such head, or it does not take what was given.
    """
    cls = head_class(head)
    able = cls.capabilities
    if options is not None and options.iterations is not None and options.iterations < 1:
        raise TedmError(f"iterations is {options.iterations}; it must be at least 1")
    if options is not None and isinstance(options.class_weight, str):
        require_word(options.class_weight)
    if abs(seed) >= SEEDS:
        raise TedmError(f"the seed is {seed}; it must be below {SEEDS}")
    given = {option: value for option, value in asdict(options or HeadOptions()).items() if value is not None}
    arguments: dict[str, Any] = {name: value for name, value in (from_method or {}).items() if name in able.from_method}
    for option, value in given.items():
        if option not in able.options:
            takers = " or ".join(heads_taking(option))
            raise TedmError(f"--{option.replace('_', '-')} is for --head {takers}, not for {head.partition(':')[0]}")
        arguments[able.options[option]] = value
    if able.takes_seed:
        arguments["seed"] = seed
    if able.takes_device:
        arguments["device"] = device
    if able.named_by is not None:
        arguments[able.named_by] = head.partition(":")[2]
    if able.parameters is not None:
        arguments[able.parameters] = dict(params or {})
        return _possible(cls(**arguments))
    known = signature(cls).parameters
    unknown = sorted(set(params or {}) - set(known))
    if unknown:
        hint = did_you_mean(unknown[0], known)
        raise TedmError(f"--params: {head} heads know no {unknown[0]!r}{hint}; they know {listed(known)}")
    try:
        require_types(head, params or {})
    except ValueError as error:
        raise TedmError(f"--params: {error}") from error
    arguments |= params or {}
    if "batch" in able.options:
        _require_of_batches(given, str(arguments.get(able.options["batch"], known[able.options["batch"]].default)))
    return _possible(cls(**arguments))


def _possible(head: Head) -> Head:
    """Return a head, whose settings are looked at now if it can do so: a fit would find them wrong after the work before it."""
    if isinstance(head, ChecksSettings):
        head.require_settings()
    return head


def _require_of_batches(given: Mapping[str, JsonValue], batch: str) -> None:
    """Refuse the size of batches that are of something else, which would be asked for and have no effect."""
    for kind, other in (("pixels", "whole images"), ("images", "pixels")):
        if f"{kind}_per_batch" in given and batch != kind:
            raise TedmError(f"--{kind}-per-batch is given, but batches are of {other}: add --batch {kind}, or leave it out")


def remake_head(head: str, class_name: str, arguments: Mapping[str, JsonValue], *, device: str = "cpu") -> Head:
    """Make the unfitted head that a folder describes.

    Parameters
    ----------
    head : str
        The name under which it was fitted.
    class_name : str
        Name of its class, which the registered one must bear.
    arguments : mapping
        What `Head.constructor` gave.
    device : str
        Where it is to compute, if it can choose; "auto" is CUDA where there is one.

    Raises
    ------
    TedmError
        If no registered head is of that class.
    TypeError, ValueError
        If it does not take an argument, or not a value like that.
    """
    registered = _registered()
    kind = head.partition(":")[0]
    for name in dict.fromkeys([kind, *registered]):
        if name in registered and registered[name].class_name == class_name:
            cls = registered[name].load()
            if registered[name].package is None:
                _require_types(cls, arguments)
            if not cls.capabilities.takes_device:
                return cls(**arguments)
            return cls(**{**arguments, "device": choose_device(device) if device == "auto" else device})
    raise TedmError(f"there is no head of kind {class_name!r} here; install the package that it is from, or a newer tedm")


def require_types(head: str, arguments: Mapping[str, JsonValue]) -> None:
    """Refuse, with a `ValueError`, values of other types than the arguments of a head of this package have."""
    registered = _registered().get(head.partition(":")[0])
    if registered is not None and registered.package is None:
        _require_types(registered.load(), arguments)


def _require_types(cls: type[Head], arguments: Mapping[str, JsonValue]) -> None:
    """Refuse values of other types than the arguments of one of our own heads have, and numbers without end."""
    hints = get_type_hints(cls.__init__)
    for name, value in arguments.items():
        if name not in hints or name == cls.capabilities.parameters:  # the constructor says so; an estimator's own may be any
            continue
        try:
            msgspec.convert(value, hints[name], str_keys=True)
        except msgspec.ValidationError as error:
            raise ValueError(f"{name}: {error}") from error
        numbers = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
        if any(isinstance(number, float) and not isfinite(number) for number in numbers):
            raise ValueError(f"{name} holds what is no finite number")


@dataclass(frozen=True)
class _Registered:
    """Where a head's class is found.

    Parameters
    ----------
    name : str
        What `--head` takes.
    where : str
        Module and class, as an entry point has them.
    package : str or None
        The package that brings it by entry point, "" if that has no name; None for this one.
    """

    name: str
    where: str
    package: str | None = None

    @property
    def class_name(self) -> str:
        """Return the class's name, without importing anything."""
        return self.where.rpartition(":")[2].rpartition(".")[2]

    def load(self) -> type[Head]:
        """Import the class; a `TedmError` of one line if that fails, or if it is no head."""
        module, _, attribute = self.where.partition(":")
        try:
            cls = getattr(import_module(module), attribute)
        except Exception as error:  # the code of others can fail in any way
            if self.package is None and self.name in EXTRAS and isinstance(error, ModuleNotFoundError):
                extras = " or, without a GPU, ".join(f"pip install 'tedm[{extra}]'" for extra in EXTRAS[self.name])
                raise TedmError(
                    f"the head {self.name} needs a package that is not installed ({error.name}): {extras}"
                ) from error
            if self.package is None and not isinstance(error, (ImportError, AttributeError)):
                raise
            first = next(iter(str(error).splitlines()), "")
            raise self._broken(f"import failed with {type(error).__name__}{f': {first}' if first else ''}") from error
        if not isinstance(getattr(cls, "capabilities", None), Capabilities):
            raise self._broken(f"{self.where} states no capabilities")
        absent = [member for member in MEMBERS if not hasattr(cls, member)]
        if absent:
            raise self._broken(f"{self.where} has no {listed(absent)}")
        return cast(type[Head], cls)

    def _broken(self, cause: str) -> TedmError:
        if self.package is None:
            return TedmError(f"the head {self.name} cannot be used: {cause}; install or repair its package")
        package = f" of the package {self.package}" if self.package else ""
        remedy = "mend or uninstall that package"
        return TedmError(f"the entry point {self.name!r}{package} in {GROUP} cannot be used: {cause}; {remedy}")


def _registered() -> dict[str, _Registered]:
    """Return all heads by their names; one of this package comes before an entry point of the same name."""
    heads = {name: _Registered(name, where) for name, where in BUILT_IN.items()}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        package = entry.dist.name if entry.dist is not None else ""
        heads.setdefault(entry.name, _Registered(entry.name, entry.value, package))
    return heads


def heads_taking(option: str) -> list[str]:
    """Return the names of the heads that take an option or a setting of a method, as far as they can be imported."""
    names = []
    for name, registered in _registered().items():
        try:
            able = registered.load().capabilities
        except TedmError:  # what is wrong with it is said to whoever asks for it
            continue
        if option in able.options or option in able.from_method:
            names.append(name)
    return names
