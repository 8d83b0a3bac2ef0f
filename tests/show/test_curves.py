from tedm.show.curves import loss_figure


def test_each_curve_has_its_points_and_its_name() -> None:
    figure = loss_figure({"training": [(10, 0.5), (20, 0.25)], "held out": [(0, 0.9), (20, 0.3)], "none": []})
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["training", "held out"]
    assert axes.lines[1].get_xydata().tolist() == [[0, 0.9], [20, 0.3]]
    assert axes.get_yscale() == "log"


def test_there_may_be_no_points_yet() -> None:
    assert not loss_figure({"training": []}).axes[0].lines
