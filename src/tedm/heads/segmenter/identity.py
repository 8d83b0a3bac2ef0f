"""Who a head is in a table: its label, and every setting that decides what it predicts.

The number of training images and the seed are axes of a table, not settings: heads that differ in nothing else are one method.
Heads of one label that differ in a setting are told apart by that setting: "tedm" and "tedm, members 10".
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import Parameter, signature
from itertools import pairwise

from tedm.errors import TedmError
from tedm.files import table_text
from tedm.heads.base.head import HeadOptions
from tedm.heads.segmenter.by_number import TAKEN, as_asked, is_jury
from tedm.heads.segmenter.methods import METHODS, Method, method_named, unfitted_head
from tedm.heads.segmenter.postprocess import Cleaning
from tedm.heads.segmenter.published import PUBLISHED
from tedm.heads.segmenter.segmenter import Segmenter
from tedm.heads.voting.vote import VotingRule

COLUMNS = ["name", "setting", "value", "default"]
LABEL, ASKED = "label", "timesteps asked for"
# Arguments of a classifier that are axes of the table, a matter of place, or the method's own.
NO_SETTINGS = ("seed", "device", "members", "vote")


@dataclass(frozen=True)
class Setting:
    """One thing in which heads can differ, in words.

    Parameters
    ----------
    name : str
        Such as "pixels per batch".
    value : str
        Such as "64"; "yes" and "no" for what is there or not.
    usual : str or None
        The default of the published method, or of the head's class; None if there is none. It is no part of equality.
    """

    name: str
    value: str
    usual: str | None = field(default=None, compare=False)

    @property
    def phrase(self) -> str:
        """Return the setting as it stands in a name: "members 10", "calibrated"."""
        return self.name if self.value == "yes" else f"{self.name} {self.value}"


@dataclass(frozen=True)
class Identity:
    """What a head is, apart from its training images' number and its seed.

    Parameters
    ----------
    label : str
        The method's name, or the name that the user gave.
    settings : tuple of Setting
        Every setting once.
    asked : tuple of int or None
        Timesteps that vote because they were asked for at evaluation; None if each head votes with its own.
    """

    label: str
    settings: tuple[Setting, ...]
    asked: tuple[int, ...] | None = None

    @property
    def values(self) -> dict[str, str]:
        """Return the values by the names of the settings."""
        return {setting.name: setting.value for setting in self.settings}

    def named(self, differing: Iterable[str], *, defaults: bool = False) -> str:
        """Return the label with the settings of these names, those at their default only if `defaults`."""
        at = "" if self.asked is None else "@" + ",".join(map(str, self.asked))
        told = [one for one in self.settings if one.name in set(differing) and (defaults or one.value != one.usual)]
        return ", ".join([self.label + at, *(setting.phrase for setting in told)])


def identity_of(head: Segmenter, *, rule: VotingRule | None = None, timesteps: Sequence[int] | None = None) -> Identity:
    """Return the identity of a head that votes by `rule` with `timesteps`; None takes the method's.

    Parameters
    ----------
    head : Segmenter
        Fitted; a head that was saved and loaded has the same identity.
    rule : {"soft", "hard", "geometric", "entropy", "learned"} or None
    timesteps : sequence of int or None

    Returns
    -------
    Identity
        The vote in it is the one in force.
    """
    # what the default's MLPs are follows from the number of images, which is an axis
    about, method = head.provenance, as_asked(head.method)
    published = _published(method)
    usual = {} if published is None else _method_values(published)
    own = _method_values(replace(method, vote=rule or method.vote))
    settings = [Setting("method", head.method.name, head.label)]
    settings += [Setting("as published", "yes", "no")] if head.method.published else []
    if is_jury(head.method):  # of a version before, or of options that a network does not take
        settings.append(Setting("network", "no", "yes"))
    settings += [Setting(name, value, usual.get(name)) for name, value in own.items()]
    taken = {setting.name for setting in settings} | {LABEL, ASKED}
    for setting in _classifier_settings(head, method, published):
        # A scikit-learn estimator may have arguments of any name.
        name = f"estimator {setting.name}" if setting.name in taken else setting.name
        taken.add(name)
        settings.append(Setting(name, setting.value, setting.usual))
    settings += [
        Setting("sampling", about.sampling, "uniform" if published is None else published.sampling),
        Setting("pixels per image", "all" if about.pixels_per_image is None else _text(about.pixels_per_image), "all"),
        Setting("training split", about.split or "any", "train"),
        Setting("training domain", about.domain or "any", "any"),
        Setting("draws of noise", _text(head.settings.draws), "1"),
        Setting("calibrated", _text(head.calibration is not None), "no"),
    ]
    if about.groups is not None and about.n_counts == "images":  # else n is their number
        settings.append(Setting("training groups", _text(about.groups)))
    if (about.order == "manifest") != head.method.published:
        settings.append(Setting("training order", about.order))
    return Identity(head.label, tuple(settings), None if timesteps is None else tuple(timesteps))


def names_of(identities: Iterable[Identity]) -> dict[Identity, str]:
    """Return a name for each identity; the order of the identities changes nothing.

    Parameters
    ----------
    identities : iterable of Identity

    Returns
    -------
    dict of Identity to str
        The label alone where all identities of a label are equal. Otherwise the label and the settings in which some of them
        differ, each only where it is not the default; where that would not tell two of them apart, all in which these differ.

    Raises
    ------
    TedmError
        If a label reads like the name of another head.

    Examples
    --------
    >>> heads = [Identity("tedm", (Setting("members", value, "1"),)) for value in ("1", "10")]
    >>> list(names_of(heads).values())
    ['tedm', 'tedm, members 10']
    """
    by_label: dict[str, list[Identity]] = defaultdict(list)
    for identity in dict.fromkeys(identities):
        by_label[identity.label].append(identity)
    names: dict[Identity, str] = {}
    for alike in by_label.values():
        differing = _differing(alike)
        by_name: dict[str, list[Identity]] = defaultdict(list)
        for identity in alike:
            by_name[identity.named(differing)].append(identity)
        for name, group in by_name.items():
            apart = _differing(group)
            names |= {one: one.named(apart, defaults=True) if len(group) > 1 else name for one in group}
    _require_one_each(names)
    return names


def names_in_records(
    heads: Mapping[str, Segmenter], *, rule: VotingRule | None = None, timesteps: Sequence[int] | None = None
) -> dict[str, str]:
    """Return the name of each head in records, tables and reports.

    Parameters
    ----------
    heads : mapping of str to Segmenter
        All that stand in one table.
    rule, timesteps
        What was asked for at evaluation; timesteps stand behind an @: "tedm@1,50".

    Returns
    -------
    dict of str to str
        By the keys of `heads`. Heads that differ in training images and seed alone share a name; see `names_of`.

    Raises
    ------
    TedmError
        As `names_of` does.
    """
    identities = {key: identity_of(head, rule=rule, timesteps=timesteps) for key, head in heads.items()}
    names = names_of(identities.values())
    return {key: names[identity] for key, identity in identities.items()}


def require_told_apart(heads: Mapping[str, Segmenter], names: Mapping[str, str], cleaning: Cleaning | None = None) -> None:
    """Refuse heads whose scores could not be told apart in a table.

    Parameters
    ----------
    heads : mapping of str to Segmenter
    names : mapping of str to str
        By the same keys, as `names_in_records` gives them.
    cleaning : Cleaning or None
        What masks are scored after, too: "tedm+largest=2".

    Raises
    ------
    TedmError
        If two heads have one name, number of training images and seed.
    """
    owners: dict[tuple[str, int, int, str], str] = {}
    for key, head in heads.items():
        at = (names[key], head.provenance.n, head.provenance.seed, head.provenance.n_counts)
        first = owners.setdefault(at, key)
        if first != key:
            raise TedmError(
                f"the heads {first} and {key} cannot be told apart in one table: both are {at[0]}, n = {at[1]}, seed {at[2]}, "
                "with the same settings; leave one of them out, or fit it again under a name of its own (tedm-fit --name)"
            )
    for key, name in names.items():
        same = [other for other, theirs in names.items() if cleaning and theirs == f"{name}+{cleaning}"]
        if same:
            raise TedmError(
                f"the head {same[0]} is called {names[same[0]]}, which is what the cleaned masks of {key} are called; "
                "fit it again under another name (tedm-fit --name), or leave one of them out"
            )


def identities_csv(identities: Mapping[str, Identity]) -> str:
    """Return identities by their names in records as the text of a CSV, a row a setting."""
    rows = [COLUMNS]
    for name, identity in identities.items():
        rows.append([name, LABEL, identity.label, ""])
        if identity.asked is not None:
            rows.append([name, ASKED, _text(identity.asked), ""])
        rows += [[name, one.name, one.value, one.usual or ""] for one in identity.settings]
    return table_text(rows)


def identities_from(rows: Sequence[Sequence[str]]) -> dict[str, Identity]:
    """Return what `identities_csv` was given, from the rows of the CSV.

    Raises
    ------
    ValueError
        If it is no such table.
    """
    if not rows or list(rows[0]) != COLUMNS:
        raise ValueError(f"the columns of the methods should be {', '.join(COLUMNS)}")
    labels: dict[str, str] = {}
    asked: dict[str, tuple[int, ...]] = {}
    settings: dict[str, list[Setting]] = defaultdict(list)
    for name, setting, value, usual in rows[1:]:
        if setting == LABEL:
            labels[name] = value
        elif setting == ASKED:
            asked[name] = tuple(int(part) for part in value.split(","))
        else:
            settings[name].append(Setting(setting, value, usual or None))
    nameless = [name for name in (*settings, *asked) if name not in labels]
    if nameless:
        raise ValueError(f"the method {nameless[0]} has no label")
    return {name: Identity(label, tuple(settings[name]), asked.get(name)) for name, label in labels.items()}


def _differing(identities: Sequence[Identity]) -> set[str]:
    """Return the names of the settings that are not the same in all of them."""
    values = [identity.values for identity in identities]
    return {name for each in values for name in each if any(other.get(name) != each[name] for other in values)}


def _require_one_each(names: Mapping[Identity, str]) -> None:
    """Refuse a label that reads like the name of another head: "tedm, members 10" of a user's own."""
    by_name: dict[str, list[Identity]] = defaultdict(list)
    for identity, name in names.items():
        by_name[name].append(identity)
    for name, group in by_name.items():
        for one, other in pairwise(sorted(group, key=lambda identity: identity.label)):
            raise TedmError(
                f"two different heads would be called {name}: one labelled {one.label}, one labelled {other.label}; "
                "fit one of them again under another name (tedm-fit --name), or leave it out"
            )


def _published(method: Method) -> Method | None:
    """Return the method of that name as it was published, with the same kind of head; None for a name of the user's own."""
    try:
        known = method.name if method.name in METHODS else method.name.rpartition("-")[0]
        published = method_named(known, head=method.head, published=method.published)
    except TedmError:
        return None
    return published if published.name == method.name else None


def _method_values(method: Method) -> dict[str, str]:
    """Return a method's settings by their names; batches are the classifier's."""
    return {
        "timesteps": _text(method.timesteps),
        "rows": method.rows,
        "head": method.head,
        "members": _text(method.members),
        "vote": method.vote,
        "views": _text(method.views),
        "smoothing": _text(method.smoothing),
        "specks": _text(method.specks),
    }


def _classifier_settings(head: Segmenter, method: Method, published: Method | None) -> Iterator[Setting]:
    """Yield the arguments that decide the fit, by the names of the options that set them."""
    fitted = head.estimator
    if method != head.method:  # which takes no others
        fitted = unfitted_head(method, HeadOptions(**{name: getattr(fitted, name) for name in TAKEN}))
    estimator = method.head.partition(":")[2]
    options = {argument: option for option, argument in fitted.capabilities.options.items()}
    known = signature(type(fitted)).parameters
    arguments = fitted.constructor()
    for argument, value in arguments.items():
        if argument in NO_SETTINGS or (argument == "estimator" and value == estimator):
            continue
        name = options.get(argument, argument).replace("_", " ")
        default = known[argument].default if argument in known else Parameter.empty
        if argument == "pixels_per_batch" and published is not None:
            default = published.pixels_per_batch
        if published is not None:
            default = published.settings.get(argument, default)
        if method.published:
            default = PUBLISHED.get(method.name, {}).get(argument, default)
        if argument == "class_weight" and isinstance(value, Mapping):
            value = {_mask_value(index, head.classes): weight for index, weight in value.items()}
        elif isinstance(value, Mapping):  # arguments of an estimator inside
            yield from (Setting(str(inner).replace("_", " "), _text(each)) for inner, each in value.items())
            continue
        elif argument == "parameters":
            continue
        yield Setting(name, _text(value), None if default is Parameter.empty else _text(default))
    if arguments.get("patience") is not None and "vote" in arguments:
        plain = "soft" if method.vote == "learned" else method.vote
        yield Setting("vote of early stopping", _text(arguments["vote"]), plain)


def _mask_value(index: object, classes: Sequence[int]) -> str:
    """Return the value in masks of a class index; the index if there is no such class."""
    text = str(index)
    return str(classes[int(text)]) if text.isdecimal() and int(text) < len(classes) else text


def _text(value: object) -> str:
    """Return a value as it is read in a name: numbers without trailing zeros, lists with commas."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.12g}"
        case str():
            return value if value and value.isprintable() else json.dumps(value)
        case Mapping():
            return ",".join(f"{key}:{_text(each)}" for key, each in value.items())
        case list() | tuple() if all(isinstance(each, (int, float)) for each in value):
            return ",".join(map(_text, value))
        case list() | tuple():
            return json.dumps(value, separators=(",", ":"), default=str)
        case _:
            return str(value)
