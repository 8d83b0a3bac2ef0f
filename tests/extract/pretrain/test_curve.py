import json
from pathlib import Path

import pytest

from tedm.errors import TedmError
from tedm.extract.pretrain.curve import LossCurve, Point, write_curve


def test_a_point_is_the_mean_since_the_last() -> None:
    curve = LossCurve()
    curve.close(0, 0.9)
    for loss in (0.5, 0.25):
        curve.add(loss)
    curve.close(2, None)
    assert curve.points == [Point(0, None, 0.9), Point(2, 0.375, None)]


def test_a_curve_goes_on_from_json() -> None:
    whole, first = LossCurve(), LossCurve()
    for curve in (whole, first):
        curve.add(0.1)
        curve.close(1, 0.7)
        curve.add(0.3)
    second = LossCurve.from_json(json.loads(json.dumps(first.to_json())))
    for curve in (whole, second):
        curve.add(0.7)
        curve.close(3, None)
    assert second.points == whole.points
    assert whole.points[-1].training == pytest.approx(0.5)


def test_a_curve_is_written_as_a_table(tmp_path: Path) -> None:
    write_curve([Point(0, None, 0.9), Point(10, 0.25, None)], tmp_path / "loss.csv")
    assert (tmp_path / "loss.csv").read_text() == "iteration,training,validation\n0,,0.900000\n10,0.250000,\n"
    with pytest.raises(TedmError, match="cannot write .*absent.loss.csv: No such file"):
        write_curve([], tmp_path / "absent" / "loss.csv")
