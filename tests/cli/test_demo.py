"""The demo, from the template's slices to the picture."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from tedm.cli import demo
from tedm.extract import load_backbone

CHECKPOINT = Path(demo.__file__).with_name("demo.safetensors")


def test_the_demos_backbone_is_small_and_whole():
    backbone = load_backbone(CHECKPOINT)
    assert CHECKPOINT.stat().st_size <= 4_000_000
    assert (backbone.image_size, backbone.image_channels, backbone.step) == (64, 1, 1000)
    assert [level.channels for level in backbone.levels] == [64, 32, 16]


@pytest.mark.slow
def test_the_demo_prints_its_table_and_draws_its_picture(tmp_path):
    pytest.importorskip("nilearn", reason="needs the extra tedm[demo]")
    result = CliRunner().invoke(demo.main, [str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    for method in ("tedm", "ledm", "ledme", "timestep:1", "timestep:800"):
        assert method in result.stdout
    for domain in ("axial", "coronal", "sagittal", "contrast+noise"):
        assert f"{domain}: Dice" in result.stdout
    assert demo.CAUTION in result.stdout
    with Image.open(tmp_path / "out" / "overlays.png") as picture:
        assert min(picture.size) > 500
    assert f"open {tmp_path / 'out' / 'report.html'}" in result.stdout.splitlines()[-1]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.index(demo.CAUTION) < page.index("sagittal: Dice")
    assert page.count("<img ") == 4 * (3 + 3 * (2 + 4))  # domains: figures, examples of an image, its truth and four heads
    again = CliRunner().invoke(demo.main, [str(tmp_path / "out")])
    assert again.exit_code == 1
    assert "is not empty" in again.stderr


@pytest.mark.slow
def test_the_template_store_has_what_was_asked_for_and_is_not_made_twice(tmp_path):
    pytest.importorskip("nilearn", reason="needs the extra tedm[demo]")
    computed = []
    store = demo.template_store(
        tmp_path, timesteps=(1, 800), draws=2, domains=["coronal"], progress=lambda done, all_, _: computed.append((done, all_))
    )
    assert (store.settings.timesteps, store.settings.draws) == ((1, 800), 2)
    assert (set(store.labels.domains), len(store.labels), store.labels.classes) == ({"coronal"}, 10, (0, 1, 2))
    assert store.missing() == []
    assert len(computed) == 10
    before = (tmp_path / "slices" / "manifest.csv").stat().st_mtime_ns
    again = demo.template_store(tmp_path, timesteps=(1, 800), draws=2, domains=["coronal"], progress=computed.append)
    assert len(computed) == 10  # no image was computed
    assert again.labels == store.labels
    assert (tmp_path / "slices" / "manifest.csv").stat().st_mtime_ns == before
