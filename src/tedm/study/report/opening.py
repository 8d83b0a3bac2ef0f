"""What a report says first, in words: what was compared, what came out and how sure that is, and what to do next.

For a reader who knows patients and not methods. Every sentence is made of numbers that stand in the tables below it, and of the
tests behind them: what these cannot tell apart, the words do not rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from tedm.heads import Cell
from tedm.study.report.measured import Leading, Measured
from tedm.study.report.words import named, number, together
from tedm.text import called, counted, natural

# Points of Dice: what more labels must have brought to be worth more of them, and what a domain may lack.
GAIN, GAP = 1.0, 5.0
# Fewer images cannot show a difference at 0.05.
FEWEST = 6
WORST = 3


def opening(measured: Measured, *, calibrated: bool | None = None) -> list[tuple[str, str]]:
    """Return three paragraphs with their leads.

    Parameters
    ----------
    measured : Measured
    calibrated : bool or None
        Whether the heads' probabilities were calibrated; None if nothing says so, and then nothing is advised about it.
    """
    leading = measured.leading()
    return [
        ("What was compared", " ".join(_compared(measured))),
        ("What came out", " ".join(_came_out(measured, leading))),
        ("What to do next", " ".join(_next(measured, leading, calibrated))),
    ]


def _compared(measured: Measured) -> list[str]:
    table, cells = measured.table, measured.table.cells
    methods = sorted({cell.method for cell in cells}, key=natural)
    which = together(_in_kinds(methods))
    what = f"One method was tested, {which}" if len(methods) == 1 else f"{len(methods)} methods were compared: {which}"
    sizes = sorted({cell.n for cell in cells})
    learned = f"learned from {_labels(measured, together(sizes, link='or'), sizes[-1])}"
    images = {domain: measured.groups(domain) for domain in dict.fromkeys(cell.domain for cell in cells)}
    number_of, patients = sum(map(len, images.values())), {group for groups in images.values() for group in groups.values()}
    tested = counted(number_of, measured.noun)
    if len(patients) < number_of:
        tested += f" of {counted(len(patients), 'group')} (patients)"
    if len(images) > 1:
        each = together([f"{len(groups)} in {named(domain)}" for domain, groups in images.items()])
        tested += f" from {len(images)} domains ({each})"
    elif domain := next(iter(images)):
        tested += f" from {domain}"
    sentences = [f"{what}. {'It' if len(methods) == 1 else 'Each'} {learned} and was tested on {tested}."]
    used = {cell.method: cell.labels_used for cell in cells if cell.n == sizes[-1]}
    if table.n_counts == "images" and (more := [method for method, labels in used.items() if labels > sizes[-1]]):
        who, their = together(more, most=3), "its" if len(more) == 1 else "their"
        sentences.append(f"To choose {their} settings, {who} looked at more labels, {max(used.values())} at most.")
    classes = measured.class_names
    over = f", averaged over {together(list(classes.values()))}" if len(classes) > 1 else ""
    sentences.append(f"The score is Dice × 100, how well a mask covers the true one{over}: 100 is perfect, 0 is no overlap.")
    return sentences


def _came_out(measured: Measured, leading: Sequence[Leading]) -> list[str]:
    sizes = {each.n for each in leading}
    size = f"with {_labels(measured, str(leading[0].n), leading[0].n)}" if len(sizes) == 1 else ""
    overall = _overall(leading)
    sentences = [_sentence(size, overall)] if overall else []
    for each in leading:
        where = f"in {named(each.domain)}" if each.domain or len(leading) > 1 else ""
        own = f"with {_labels(measured, str(each.n), each.n)}" if not (size and overall) else ""
        sentences.append(_sentence(where, own, _outcome(measured, each)))
    sentences += _with_fewest(measured, leading)
    compared = [cell for each in leading for cell in each.cells if not isnan(cell.p_value)]
    noun = measured.noun
    if any(cell.groups < cell.images for cell in compared):
        sentences.append(f"The test counts the {noun}s of one patient singly, and so is surer than it should be.")
    if all(cell.seeds == 1 for each in leading for cell in each.cells):
        several = len({cell.method for each in leading for cell in each.cells}) > 1
        once = "Each was trained once at each size" if several else "It was trained once at each size"
        sentences.append(f"{once}: how much the choice of labelled images matters is not known.")
    return sentences


def _with_fewest(measured: Measured, leading: Sequence[Leading]) -> list[str]:
    """Name the highest scores at the smallest training size, if there are several sizes."""
    fewest = min(cell.n for cell in measured.table.cells)
    cells = {
        each.domain: [one for one in measured.table.cells if one.domain == each.domain] for each in leading if each.n > fewest
    }
    found = [(domain, one) for domain, here in cells.items() for one in here if one.n == fewest and one.best]
    if not found or all(len({one.method for one in here}) == 1 for here in cells.values()):
        return []
    several = len(leading) > 1
    told = [f"{one.method} ({number(one.mean)}){f' in {named(domain)}' if several else ''}" for domain, one in found]
    return [f"With {_labels(measured, str(fewest), fewest)}, the highest: {together(told)}."]


def _overall(leading: Sequence[Leading]) -> str:
    """Say who leads where, if there are several domains and methods."""
    scored = [(each, each.best) for each in leading if each.best is not None]
    if len(scored) < 2 or all(len(each.cells) == 1 for each, _ in scored):
        return ""
    clear = [each for each, _ in scored if not any(cell.equal for cell in each.cells)]
    leaders: dict[str, list[str]] = {}
    for each, best in scored:
        leaders.setdefault(best.method, []).append(named(each.domain))
    where = "both domains" if len(scored) == 2 else f"all {len(scored)} domains"
    where += "" if len(scored) == len(leading) else " with scores"
    if len(leaders) > 1:
        who = "; ".join(f"{method} in {together(domains)}" for method, domains in leaders.items())
        return f"no method has the highest score everywhere: {who}"
    who = next(iter(leaders))
    if len(clear) == len(scored):
        return f"the best in {where} is {who}"
    return f"the highest score in {where} is that of {who}, clearly so in {len(clear) or 'none'} of them"


def _outcome(measured: Measured, leading: Leading) -> str:
    """Say what came out in one domain, as the end of a sentence."""
    best, noun = leading.best, measured.noun
    if best is None:
        return f"no {noun} has a score"
    low, high = measured.intervals[leading.domain, leading.n, best.method]
    score = f"{number(best.mean)} (95 % interval {number(low)} to {number(high)})"
    if isnan(low) or best.groups < 2:  # of one patient every draw is the same
        score = number(best.mean)
    others = [cell for cell in leading.cells[1:] if cell.images]
    if not others:
        return f"{best.method} reaches {score}"
    equals = [cell for cell in others if cell.equal]
    if not equals:
        gap, next_one = best.mean - others[0].mean, f"{others[0].method} ({number(others[0].mean)})"
        sure = f"{'small, but ' if gap < GAIN else ''}more than chance explains (p < {measured.table.alpha:g})"
        return f"{best.method} is best with {score}, {number(gap)} above the next, {next_one}: {sure}"
    if best.mean == equals[0].mean:
        shared = [cell for cell in equals if cell.mean == best.mean]
        equals = [cell for cell in equals if cell.mean != best.mean]
        first = f"{together([best.method, *(cell.method for cell in shared)], most=4)} have the same score, {score}"
        tied = f", and cannot be told apart from {_scores(equals)}" if equals else ""
    else:
        first, tied = f"{best.method} has the highest score, {score},", f" but cannot be told apart from {_scores(equals)}"
    few = best.images < FEWEST
    why = f": {counted(best.images, noun)} can show no difference" if few else ""
    lower = [cell for cell in others if not cell.equal]
    told = _scores(lower) if len(lower) < 3 else f"the other {len(lower)}"
    rest = f"; by the test {told} {'is' if len(lower) == 1 else 'are'} lower" if lower else ""
    return f"{first}{tied}{why}{rest}"


def _next(measured: Measured, leading: Sequence[Leading], calibrated: bool | None) -> list[str]:
    scored = [(each, each.best) for each in leading if each.best is not None]
    if not scored:
        return ["Score images whose truth shows a class: without them nothing can be said."]
    sentences = [*_compare_more(measured), *_labels_worth(measured, scored), *_label_elsewhere(scored)]
    worst = sorted(
        (score, natural(image), image, each.domain)
        for each, best in scored
        for image, score in measured.scores[each.domain, each.n, best.method].items()
        if not isnan(score)
    )
    if shown := worst[: min(WORST, len(worst) // 2)]:
        places = [f"{named(domain)}, " if len(leading) > 1 else "" for *_, domain in shown]
        told = [f"{image} ({place}{number(score)})" for (score, _, image, _), place in zip(shown, places, strict=True)]
        ask = "is the truth right there, and is the picture like the others?"
        sentences.append(f"Look at the worst {measured.noun}{'s' * (len(shown) > 1)} first, {together(told)}: {ask}")
    sentences += _weak_class(measured, scored)
    if missed := sum(best.missed for _, best in scored):
        sentences.append(f"{_times(missed)} nothing was drawn of a class that is there: look at these before you rely on it.")
    if calibrated is False:
        sentences.append(
            "Before anyone relies on probabilities or maps of uncertainty, calibrate the chosen head (tedm-fit --calibrate)."
        )
    return sentences


def _compare_more(measured: Measured) -> list[str]:
    if len({cell.method for cell in measured.table.cells}) > 1:
        return []
    return ["Add a second method (tedm-fit --method unet is a common baseline): one score alone does not say if it is good."]


def _labels_worth(measured: Measured, scored: Sequence[tuple[Leading, Cell]]) -> list[str]:
    """Say whether more labels helped where there are sizes to compare."""
    gains: dict[tuple[int, int], list[tuple[str, str, float]]] = {}
    for each, best in scored:
        means = {
            cell.n: cell.mean
            for cell in measured.table.cells
            if (cell.domain, cell.method) == (each.domain, best.method) and not isnan(cell.mean) and cell.n <= each.n
        }
        if len(means) > 1:
            before, after = sorted(means)[-2:]
            gain = means[after] - means[before]
            gains.setdefault((before, after), []).append((best.method, named(each.domain), gain))
    if not gains:
        return [f"Try another number of labels: only n = {scored[0][0].n} was, so nobody can say whether more would help."]
    sentences = []
    for (before, after), found in gains.items():
        several = len(scored) > 1
        helped, flat = ([one for one in found if (one[2] >= GAIN) == wanted] for wanted in (True, False))
        step = f"from {before} to {_labels(measured, str(after), after)}"

        def told(ones: Sequence[tuple[str, str, float]], several: bool = several) -> str:
            return together(
                [f"{gain:+.1f} for {who}{f' in {domain}' if several else ''}" for who, domain, gain in ones], most=4
            )

        if helped:
            sentences.append(f"Label more: {step} the score rose ({told(helped)}).")
        if flat:
            more = "there " if helped else ""
            sentences.append(f"More labels of the same kind promise {more}little: {step} the score changed by {told(flat)}.")
    return sentences


def _label_elsewhere(scored: Sequence[tuple[Leading, Cell]]) -> list[str]:
    """Name the domain that lacks most, if it lacks much."""
    means = sorted((best.mean, each.domain) for each, best in scored)
    (low, worst), (high, first) = means[0], means[-1]
    if high - low < GAP:
        return []
    return [f"Label a few images of {named(worst)}: scores there are {high - low:.1f} below those of {named(first)}."]


def _weak_class(measured: Measured, scored: Sequence[tuple[Leading, Cell]]) -> list[str]:
    """Name the class that lacks most, over the leading methods, if it lacks much."""
    if measured.classes is None:
        return []
    means: dict[str, list[float]] = {}
    for each, best in scored:
        for cell in measured.classes.cells:
            if (cell.domain, cell.n, cell.method) == (each.domain, each.n, best.method) and not isnan(cell.mean):
                means.setdefault(called(cell.class_value or 0, cell.class_name), []).append(cell.mean)
    averages = sorted((sum(values) / len(values), name) for name, values in means.items())
    if len(averages) < 2 or averages[-1][0] - averages[0][0] < GAP:
        return []
    return [
        f"The weakest class is {averages[0][1]} ({number(averages[0][0])}, against {number(averages[-1][0])} of "
        f"{averages[-1][1]}): choose images to label that show it well."
    ]


def _in_kinds(methods: Sequence[str]) -> list[str]:
    """Name methods, those of one kind such as timestep:1 to timestep:800 together if there are many."""
    kinds: dict[str, list[str]] = {}
    for method in methods:
        kind, colon, _ = method.partition(":")
        kinds.setdefault(kind if colon else method, []).append(method)
    told = []
    for members in kinds.values():
        told += members if len(members) < 4 else [f"the {len(members)} methods {members[0]} to {members[-1]}"]
    return told


def _labels(measured: Measured, numbers: str, last: int) -> str:
    noun = "labelled patient" if measured.table.n_counts == "groups" else "labelled image"
    return f"{numbers} {noun}{'s' * (last != 1)}"


def _scores(cells: Sequence[Cell]) -> str:
    return together([f"{cell.method} ({number(cell.mean)})" for cell in cells], most=4)


def _times(count: int) -> str:
    return {1: "Once", 2: "Twice"}.get(count, f"{count} times")


def _sentence(*parts: str) -> str:
    """Join what is there of the parts; the first begins with a word of ours, never with a name."""
    words = ", ".join(part for part in parts if part)
    return f"{words[0].upper()}{words[1:]}."
