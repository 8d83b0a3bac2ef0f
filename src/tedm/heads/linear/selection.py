"""What is to be fitted: images, strengths to choose from, and the folds that choose.

A job is one classifier. Folds never tear a group apart; with too few groups for a cross-validation the default strength is
taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tedm.errors import TedmError
from tedm.heads.linear.source import Source

DEFAULT_RIDGE = 1.0
FOLDS = 5

Fold = tuple[Sequence[str], Sequence[str]]


@dataclass(frozen=True)
class Job:
    """A classifier that is wanted, and how its strength is found.

    Parameters
    ----------
    images : tuple of str
        What it learns from.
    strengths : tuple of float
        One, or those to choose from.
    folds : tuple of (images inside, images outside)
        On what each strength is tried; empty where there is one strength, or other images decide.
    chosen_by : str
        How the strength is found, in words; empty for one strength that was asked for.
    """

    images: tuple[str, ...]
    strengths: tuple[float, ...]
    folds: tuple[Fold, ...] = ()
    chosen_by: str = ""

    @classmethod
    def cross_validated(cls, source: Source, images: Sequence[str], strengths: Sequence[float], folds: int = FOLDS) -> Job:
        """Try strengths on folds of whole groups; with fewer than three groups the default strength is taken."""
        if len(strengths) == 1:
            return cls(tuple(images), tuple(strengths))
        groups = [source.groups[name] for name in images]
        cuts: list[Fold] = []
        dropped = 0
        if len(set(groups)) >= 3:
            from sklearn.model_selection import GroupKFold  # half a second to import, for those who choose a penalty

            parts = GroupKFold(min(folds, len(set(groups)))).split(images, groups=groups)
            cuts = [([images[n] for n in inside], [images[n] for n in outside]) for inside, outside in parts]
            whole = len(cuts)
            cuts = [cut for cut in cuts if len(source.present(cut[0])) > 1]
            dropped = whole - len(cuts)
        if not cuts:
            count = len(set(groups))
            words = f"default: {count} {'group is' if count == 1 else 'groups are'} too few for a cross-validation"
            if dropped:
                words = f"default: each of {dropped} folds would learn from images of one class"
            return cls(tuple(images), (DEFAULT_RIDGE,), (), words)
        words = f"a cross-validation of {len(cuts)} folds by group"
        if dropped:
            words += f" ({dropped} more would learn from images of one class)"
        partly = sum(bool(set(source.present(outside)) - set(source.present(inside))) for inside, outside in cuts)
        if partly:
            words += f" ({partly} of them without the pixels of a class that only the images held out show)"
        return cls(tuple(images), tuple(strengths), tuple(cuts), words)


def require_strengths(strengths: Sequence[float], given: object) -> None:
    """Refuse a penalty below zero, or none."""
    if not strengths or not all(strength >= 0 for strength in strengths):
        raise TedmError(f"ridge is {given}; it must be 0 or more")
