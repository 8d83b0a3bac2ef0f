"""The demo, from the template's slices to the picture."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from PIL import Image

from tedm.cli import demo
from tedm.study import demo as library
from tedm.study.demo.run import CAUTION


@pytest.mark.slow
def test_the_demo_prints_its_table_and_draws_its_picture(tmp_path):
    pytest.importorskip("nilearn", reason="needs the extra tedm[demo]")
    pytest.importorskip("monai", reason="MONAI, which tedm requires, is not installed")
    result = CliRunner().invoke(demo.main, [str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    for method in ("jury", "tedm", "ledm", "ledme", "unet", "timestep:1", "timestep:800"):
        assert method in result.stdout
    for domain in ("axial", "coronal", "sagittal", "contrast+noise"):
        assert f"{domain}: Dice" in result.stdout
    assert CAUTION in result.stdout
    with Image.open(tmp_path / "out" / "overlays.png") as picture:
        assert min(picture.size) > 500
    assert f"open {tmp_path / 'out' / 'report.html'}" in result.stdout.splitlines()[-1]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.index(CAUTION) < page.index("sagittal: Dice")
    assert page.count("<img ") == 4 * (3 + 3 * (2 + 6))  # domains: figures, examples of an image, its truth and six heads
    assert "Best with n = 6, by mean Dice: axial " in result.stdout
    again = CliRunner().invoke(demo.main, [str(tmp_path / "out")])
    assert again.exit_code == 1
    assert "is not empty" in again.stderr


def test_what_notebooks_of_before_import_is_what_it_was():
    assert demo.template_store is library.template_store
    assert demo.template_slices is library.template_slices
    assert demo.template_backbone is library.template_backbone
    with pytest.raises(AttributeError, match="no_such_name"):
        demo.no_such_name  # noqa: B018
