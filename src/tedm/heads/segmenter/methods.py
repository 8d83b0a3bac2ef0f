"""The published methods as settings of one code path.

A method fixes timesteps, row layout, kind of head, size of the ensemble and voting rule; whatever the user names overrides it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, cast

from tedm.errors import TedmError
from tedm.heads.base.head import Head, HeadOptions, NamingHead
from tedm.heads.base.registry import head_class, heads_taking, make_head
from tedm.heads.data.rows import RowLayout
from tedm.heads.data.sampling import Sampling
from tedm.heads.segmenter.published import published_arguments, require_published
from tedm.heads.voting.vote import VotingRule
from tedm.jsons import JsonValue
from tedm.keywords import plain_keywords
from tedm.text import did_you_mean, listed

LONGEST_NAME = 100
COMMITTEE = "committee"
MOST_SMOOTHING = 64
OF_THE_WHOLE = ("published", "views", "smoothing", "specks", "sampling")  # of a committee, not of its parts
TEDM_TIMESTEPS = (1, 10, 25, 50, 200, 400, 600, 800)
LEDM_TIMESTEPS = (50, 150, 250)
FAST_TIMESTEPS = (1, 50)


@dataclass(frozen=True)
class Method:
    """What makes a method.

    Parameters
    ----------
    name : str
        Its name in tables.
    timesteps : tuple of int
        What it reads; none for a baseline, which looks at images.
    rows : {"share", "concatenate"}
        How these become rows.
    head : str
        The classifier: "mlp", "logistic", "xgboost", "sklearn:module.Class", "unet" or "committee" (`committee_of`).
    members : int
        Size of the ensemble.
    vote : {"soft", "hard", "geometric", "entropy", "learned"}
        How the opinions merge.
    pixels_per_batch : int
        Random pixels in a batch of an MLP, for each member. A shared row layout multiplies them by the timesteps.
    settings : mapping
        Arguments of the head that make it this method, as JSON values.
    views : int
        Views of each training image that a fit learns from besides it.
    smoothing : float
        Standard deviation of a Gaussian that every voter's probabilities are smoothed by, in pixels at feature resolution; 0
        leaves them.
    specks : float
        Components smaller than this fraction of the smallest in the training labels become background after the vote; 0 keeps
        all. See `tedm.heads.segmenter.shapes`.
    sampling : {"uniform", "balanced", "root", "boundary"}
        How pixels are drawn, where pixels are drawn; see `tedm.heads.data.sampling.pixel_weights`.
    published : bool
        Whether a fit sets what can be set as the code published with the paper has it (`published.PUBLISHED`).
    """

    name: str
    timesteps: tuple[int, ...]
    rows: RowLayout
    head: str
    members: int
    vote: VotingRule
    pixels_per_batch: int = 512
    settings: Mapping[str, Any] = field(default_factory=dict)  # msgspec reads it, and knows no recursive types
    views: int = 0
    smoothing: float = 0.0
    specks: float = 0.0
    sampling: Sampling = "uniform"
    published: bool = False

    @property
    def looks_at_images(self) -> bool:
        """Whether its head looks at images: it reads no timestep then."""
        return not self.timesteps


# What was best on development data (docs/results/method.md): LEDMe with views, small classes more often, without specks.
_JURY = Method(
    "jury", TEDM_TIMESTEPS, "concatenate", "mlp", 10, "hard", pixels_per_batch=64, views=8, specks=0.1, sampling="root"
)
METHODS = {
    "jury": _JURY,
    "jury-fast": replace(_JURY, name="jury-fast", timesteps=FAST_TIMESTEPS),  # a quarter of the passes, for those without a GPU
    "jury-finetune": replace(_JURY, name="jury-finetune"),  # with the DDPM's own weights, trained further, for its network
    "tedm": Method("tedm", TEDM_TIMESTEPS, "share", "mlp", 1, "soft"),  # arXiv:2311.07421
    "ledm": Method(
        "ledm", LEDM_TIMESTEPS, "concatenate", "mlp", 10, "hard", pixels_per_batch=64
    ),  # arXiv:2112.03126; batches as in its code
    "ledme": Method("ledme", TEDM_TIMESTEPS, "concatenate", "mlp", 10, "hard", pixels_per_batch=64),  # arXiv:2311.07421
    # nnU-Net's architecture and loss (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z), from the labelled images alone
    "unet": Method("unet", (), "concatenate", "unet", 1, "soft", settings={}),
    "global-cl": Method(
        "global-cl", (), "concatenate", "unet", 1, "soft", settings={"network": "tedm", "start": "global-cl"}
    ),  # SimCLR, arXiv:2002.05709
    "global-local-cl": Method(
        "global-local-cl", (), "concatenate", "unet", 1, "soft", settings={"network": "tedm", "start": "global-local-cl"}
    ),  # Chaitanya et al. 2020, arXiv:2006.10511
    # the DDPM whose activations the others read, with all its weights trained further on the labels
    "ddpm-finetune": Method(
        "ddpm-finetune", (), "concatenate", "unet", 1, "soft", settings={"network": "tedm", "start": "diffusion"}
    ),
}
DEFAULT = "jury"
# The default, and what is the same at other timesteps or with another network: by the network that votes beside their MLPs.
JURIES = {"jury": "unet", "jury-fast": "unet", "jury-finetune": "ddpm-finetune"}
# Of a fit without a method: what is asked of the default's head, and leaves it what it is.
LEAVES_DEFAULT = ("iterations", "learning_rate", "class_weight", "precision")


@plain_keywords
def method_named(
    name: str,
    *,
    timesteps: Sequence[int] | None = None,
    rows: RowLayout | None = None,
    head: str | None = None,
    members: int | None = None,
    vote: VotingRule | None = None,
    views: int | None = None,
    smoothing: float | None = None,
    specks: float | None = None,
    published: bool = False,
) -> Method:
    """Return a published method, with changes.

    Parameters
    ----------
    name : str
        "jury", "jury-fast", "jury-finetune", "tedm", "ledm", "ledme", one that looks at images ("unet", "global-cl",
        "global-local-cl", "ddpm-finetune"), or "timestep:T" for the ridge logistic regression at one timestep.
    timesteps, rows, head, members, vote, views, smoothing, specks
        What is to differ; None keeps the method's. A head other than the method's is one classifier unless `members` says so.
    published : bool
        As the code published with the paper has it, where it differs: one classifier, no ensemble, and the settings of its fit
        (`docs/methods.md`). A method "timestep:T" stays as it is: the published code computes a standardisation for it, and
        then does not apply it.

    Raises
    ------
    TedmError
        If there is no such method, or it has no published setting.

    Examples
    --------
    >>> method_named("timestep:50").timesteps
    (50,)
    """
    method = METHODS.get(name)
    if method is None:
        kind, _, value = name.partition(":")
        if kind != "timestep" or not value.isdecimal():
            meant = did_you_mean(name, METHODS)
            raise TedmError(
                f"there is no method {name!r}{meant}; choose one of {', '.join(METHODS)} or timestep:T, timestep:50 say"
            )
        method = Method(f"timestep:{int(value)}", (int(value),), "share", "logistic", 1, "soft")
    method = _with_named_head(method, head)
    if published and name in METHODS:
        require_published(method.name)
        method = replace(method, members=1, vote="soft", published=True)
    if members is not None and members < 1:
        raise TedmError(f"--members is {members}; it must be at least 1")
    if members is not None and members > 1 and not head_class(method.head).capabilities.members:
        raise TedmError(
            f"{members} members of {method.head} would be equal; --members is for --head {' or '.join(heads_taking('members'))}"
        )
    if timesteps is not None and not timesteps:
        raise TedmError(f"{name} is asked to read no timestep; name one or more")
    if timesteps is not None and name not in METHODS and tuple(timesteps) != method.timesteps:
        raise TedmError(
            f"{name} reads the timestep {method.timesteps[0]}, and {listed(timesteps)} are asked for: leave out one of them; "
            "--head logistic --rows share with --timesteps is the same head at several"
        )
    if views is not None and views < 0:
        raise TedmError(f"--views is {views}; it must be at least 0")
    if smoothing is not None and not 0 <= smoothing <= MOST_SMOOTHING:
        raise TedmError(f"--smoothing is {smoothing:g} pixels; it must be from 0 (none) to {MOST_SMOOTHING}")
    if specks is not None and not 0 <= specks <= 1:
        raise TedmError(f"--specks is {specks:g}; it is a fraction from 0 (keep all) to 1")
    if method.looks_at_images and views:
        raise TedmError(f"--method {method.name} looks at images, and changes these itself: leave out --views")
    if method.looks_at_images:
        asked = {"--timesteps": timesteps is not None, "--rows": rows is not None, "--vote": vote is not None}
        for option in (name for name, wanted in asked.items() if wanted):
            raise TedmError(f"--method {method.name} looks at images, has no timesteps and one opinion: leave out {option}")
    return replace(
        method,
        timesteps=method.timesteps if timesteps is None else tuple(timesteps),
        rows=rows or method.rows,
        members=members or method.members,
        vote=vote or method.vote,
        views=method.views if views is None else views,
        smoothing=method.smoothing if smoothing is None else float(smoothing),
        specks=method.specks if specks is None else float(specks),
    )


def default_method(options: HeadOptions, *others: object) -> str:
    """Return the name of the method of a fit for which none is named.

    Parameters
    ----------
    options : HeadOptions
        What is asked of the head.
    *others
        Whatever else is asked that says what the head is (its kind, row layout, members, vote, arguments); None or False where
        it is not.

    Returns
    -------
    str
        `DEFAULT`; "tedm", which was the default before, where something is asked that would make another head of it.

    Examples
    --------
    >>> default_method(HeadOptions()), default_method(HeadOptions(patience=3)), default_method(HeadOptions(), "logistic")
    ('jury', 'tedm', 'tedm')
    """
    asked = [each.name for each in fields(options) if getattr(options, each.name) is not None]
    return DEFAULT if not any(others) and all(name in LEAVES_DEFAULT for name in asked) else "tedm"


def _with_named_head(method: Method, head: str | None) -> Method:
    if head is None:
        return method
    if head == method.head:  # of the default, that head alone is another method: no network votes beside it
        return replace(method, name=f"{method.name}-{head}") if method.name in JURIES else method
    if head_class(head).capabilities.looks_at_images != method.looks_at_images:
        raise TedmError(
            f"--head {head} looks at images, which --method {method.name} does not: choose a --method of that head's"
            if method.timesteps
            else f"--method {method.name} looks at images, which --head {head} does not: leave out one of them"
        )
    kind = head.rpartition(".")[2].rpartition(":")[2]
    return replace(method, name=f"{method.name}-{kind}", head=head, members=1)


def with_head(
    method: Method, head: object, params: Mapping[str, JsonValue] | None = None
) -> tuple[Method, Mapping[str, JsonValue] | None]:
    """Return a method with another head, and the parameters of its class.

    Parameters
    ----------
    method : Method
    head : str, classifier or None
        The name of a head, or an unfitted classifier of scikit-learn; None keeps the method's.
    params : mapping or None
        What is given besides; for a classifier it comes before its own.

    Raises
    ------
    TedmError
        If there is no such head, it is not for this method, or the classifier cannot be written down
        (`tedm.heads.estimator.described`).
    """
    if head is None or isinstance(head, str):
        return _with_named_head(method, head), params
    named, of_object = cast(NamingHead, head_class("sklearn:Class")).named(head)
    return _with_named_head(method, named), {**of_object, **(params or {})}


def committee_of(name: str, methods: Sequence[Method], *, pixels_per_image: Mapping[str, int] | None = None) -> Method:
    """Return the method whose head is a committee of the heads of others.

    Each of them learns from the same images as it would alone, merges its own members, timesteps and draws by its own vote, and
    has one equal vote in the committee.

    Parameters
    ----------
    name : str
        What the committee is called in tables.
    methods : sequence of Method
        Two to sixteen, of different names; one at least reads timesteps. One as published keeps its published settings.
    pixels_per_image : mapping of str to int, optional
        By a method's name, how many labelled pixels of each image it learns from, drawn uniformly. Default: all.

    Returns
    -------
    Method
        With the timesteps of all, ascending; its `members` are the parts. Those that look at images learn from no views.

    Raises
    ------
    TedmError
        If the name cannot stand in a table, or these make no committee: too few or too many, of one name, committees
        themselves, with a vote whose weights are to be learned, or with other numbers of views, smoothing, specks or ways of
        drawing pixels.

    Examples
    --------
    >>> both = committee_of("both", [method_named("tedm"), method_named("ledm")])
    >>> both.head, both.members, both.timesteps
    ('committee', 2, (1, 10, 25, 50, 150, 200, 250, 400, 600, 800))
    """
    parts = []
    for method in methods:
        if method.vote == "learned":
            raise TedmError(f"{method.name} votes by weights that it has yet to learn: give it another vote in a committee")
        published = published_arguments(method.name, method.head, HeadOptions()) if method.published else {}
        part = {each.name: getattr(method, each.name) for each in fields(method) if each.name not in OF_THE_WHOLE}
        part |= {"timesteps": list(method.timesteps), "settings": {**method.settings, **published}}
        if pixels_per_image and method.name in pixels_per_image:
            part["pixels_per_image"] = pixels_per_image[method.name]
        parts.append(part)
    timesteps = tuple(sorted({timestep for method in methods for timestep in method.timesteps}))
    views = {method.views for method in methods if not method.looks_at_images}
    if len(views) > 1:
        raise TedmError(f"parts of a committee learn from the same views; these ask for {listed(sorted(views))} of each image")
    shapes = {(method.smoothing, method.specks) for method in methods}
    if len(shapes) > 1:
        raise TedmError("parts of a committee are smoothed and cleaned alike; give all the same smoothing and specks")
    ((smoothing, specks),) = shapes or {(0.0, 0.0)}
    drawn: set[Sampling] = {method.sampling for method in methods if not method.looks_at_images}
    if len(drawn) > 1:
        raise TedmError(f"parts of a committee learn from pixels drawn alike; these draw them {listed(sorted(drawn))}")
    settings = {"parts": parts}
    make_head(COMMITTEE, params=settings).constructor()  # refuses what makes none
    made = Method(require_name(name), timesteps, "concatenate", COMMITTEE, len(parts), "soft", settings=settings)
    sampling = min(drawn, default=made.sampling)
    return replace(made, views=max(views, default=0), smoothing=smoothing, specks=specks, sampling=sampling)


def unfitted_head(
    method: Method,
    options: HeadOptions,
    params: Mapping[str, JsonValue] | None = None,
    *,
    seed: int = 0,
    device: str = "cpu",
) -> Head:
    """Make the head of a method; a `TedmError` if it does not take what is asked for."""
    plain = "soft" if method.vote == "learned" else method.vote  # there are no weights yet
    settled: dict[str, JsonValue] = {"members": method.members, "vote": plain, "pixels_per_batch": method.pixels_per_batch}
    published = published_arguments(method.name, method.head, options) if method.published else {}
    arguments = {**method.settings, **published, **(params or {})}
    return make_head(method.head, options, arguments, seed=seed, device=device, from_method=settled)


def require_name(name: str) -> str:
    """Return the name that a user gives a head; a `TedmError` if it cannot stand in a table.

    Examples
    --------
    >>> require_name("tedm, long")
    'tedm, long'
    """
    if not name.isprintable() or name != name.strip() or not 0 < len(name) <= LONGEST_NAME:
        raise TedmError(
            f"--name {name!r} cannot stand in a table; give 1 to {LONGEST_NAME} characters on one line, without a space at "
            "either end, --name 'tedm long' say"
        )
    return name
