"""Whom it went badly for: the classes, and the patients with the worst first, by the leading method of each domain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from math import isnan, nan
from statistics import fmean

from tedm.heads import Cell, image_scores
from tedm.show.report import Section, Sheet
from tedm.study.report.measured import Leading, Measured
from tedm.study.report.words import EMPTY, named, number
from tedm.text import called, counted, natural

MOST = 20  # rows of patients; the rest is said


def patients_section(measured: Measured) -> Section:
    """Return tables by class, where there are several, and by patient (group), the worst first."""
    domains = []
    for each in measured.leading():
        if each.best is None:
            continue
        sheets = [] if measured.classes is None else [_by_class(measured, each, each.best)]
        domains.append(Section(named(each.domain), sheets=[*sheets, _by_patient(measured, each, each.best)]))
    words = [
        "By the method with the highest score in each domain: Dice × 100, the mean over its images and trainings. "
        f"Of more than {MOST} patients or images the {MOST} worst are listed."
    ]
    return Section("Classes and patients", words=words, sections=domains)


def _by_class(measured: Measured, leading: Leading, best: Cell) -> Sheet:
    assert measured.classes is not None
    noun = measured.noun
    rows = []
    for cell in measured.classes.cells:
        if (cell.domain, cell.n, cell.method) == (leading.domain, leading.n, best.method):
            name = called(cell.class_value or 0, cell.class_name)
            spread = "" if isnan(cell.deviation) else f" ± {number(cell.deviation)}"
            rows.append([name, f"{number(cell.mean)}{spread}", str(cell.images), str(cell.missed)])
    caption = f"{named(leading.domain)}, {best.method}, n = {leading.n}: classes"
    return Sheet(caption, ["class", "Dice", f"{noun}s", "nothing drawn"], rows)


def _by_patient(measured: Measured, leading: Leading, best: Cell) -> Sheet:
    noun, groups = measured.noun, measured.groups(leading.domain)
    place = (leading.domain, leading.n, best.method)
    by_class = _class_scores(measured, leading, best)
    members: dict[str, list[str]] = defaultdict(list)
    for image, group in groups.items():
        members[group].append(image)
    single = all(images == [group] for group, images in members.items())
    of_image = measured.scores[place]
    means = {group: _mean(of_image, images) for group, images in members.items()}
    ordered = sorted((mean, natural(group), group) for group, mean in means.items() if not isnan(mean))
    rows = []
    for mean, _, group in ordered[:MOST]:
        scored = [image for image in members[group] if not isnan(of_image.get(image, nan))]
        worst = min(scored, key=lambda image: (of_image[image], natural(image)))
        further = [] if single else [str(len(scored)), EMPTY if len(scored) == 1 and worst == group else worst]
        rows.append([group, number(mean), *(number(_mean(scores, members[group])) for scores in by_class.values()), *further])
    what = noun if single else "patient"
    left_out = len(means) - len(ordered)
    remarks = []
    if len(ordered) > MOST:
        low, high = number(ordered[MOST][0]), number(ordered[-1][0])
        remarks.append(f"the {MOST} worst of {len(ordered)}, the others have {low} to {high}")
    if left_out:
        remarks.append(f"{left_out} without a score {'is' if left_out == 1 else 'are'} not here")
    said = f" ({'; '.join(remarks)})" if remarks else ""
    caption = f"{named(leading.domain)}, {best.method}, n = {leading.n}: {counted(len(ordered), what)}, the worst first{said}"
    titles = [what, "Dice", *by_class, *([] if single else [f"{noun}s", f"worst {noun}"])]
    return Sheet(caption, titles, rows)


def _class_scores(measured: Measured, leading: Leading, best: Cell) -> dict[str, Mapping[str, float]]:
    """Return the scores of images in each class, by its name, where there are several."""
    if measured.classes is None:
        return {}
    found: dict[str, Mapping[str, float]] = {}
    place = (leading.domain, leading.n, best.method)
    mine = [one for one in measured.records if (one.domain, one.n, one.method) == place]
    for value, name in measured.class_names.items():
        of_class = [one for one in mine if one.class_value == value]
        found[name] = image_scores(of_class, empty=measured.empty)[place]
    return found


def _mean(scores: Mapping[str, float], images: list[str]) -> float:
    known = [scores[image] for image in images if not isnan(scores.get(image, nan))]
    return fmean(known) if known else nan
