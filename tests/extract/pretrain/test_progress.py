"""What a training run says of itself."""

from __future__ import annotations

import re

import numpy as np
import torch

from tedm.extract.pretrain.curve import LossCurve
from tedm.extract.pretrain.progress import TIMED, Clock, Reporter


def test_a_report_is_of_the_iteration_and_made_once(learner, digits):
    trained, curve, reports = learner(steps=1), LossCurve(), []
    curve.add(0.5)
    reporter = Reporter(trained, curve, digits[:2], 1, reports.append)
    reporter()
    reporter()  # a run that goes on after a report does not repeat it
    (report,) = reports
    assert (report.iteration, report.points[-1].training) == (1, 0.5)
    assert report.points[-1].validation > 0
    trained.step(torch.from_numpy(digits))
    reporter()
    assert [point.iteration for point in reports[-1].points] == [1, 2]
    assert reports[-1].samples.shape == (1, 1, 16, 16)
    assert not np.array_equal(reports[0].samples, reports[1].samples)


def test_without_samples_and_without_anyone_who_listens_there_is_still_a_curve(learner):
    curve = LossCurve()
    Reporter(learner(), curve, None, 0, None)()
    assert [(point.iteration, point.training, point.validation) for point in curve.points] == [(0, None, None)]


def test_the_clock_speaks_once_and_counts_reports_in(learner):
    said: list[str] = []
    reporter = Reporter(learner(), LossCurve(), None, 0, None)
    reporter.seconds = 30.0
    clock = Clock(100 + TIMED, 50, reporter, said.append)
    for seconds in [9.0, *[0.5] * (2 * TIMED)]:  # the first one also sets up
        clock(seconds)
    assert said == ["about 1 min 50 s for 100 more iterations, at 0.5 s each"]
    assert re.fullmatch(r"about .*", said[0])
