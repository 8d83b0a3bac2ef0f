"""A head of another package joins by entry point, and keeps what is promised of every head."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from head_suite import HeadSuite

from tedm.errors import TedmError
from tedm.heads import evaluate, fit, load_head, method_named, save_head
from tedm.heads.base.registry import known_heads
from tedm.store import FeatureStore

EXAMPLE = Path(__file__).with_name("example_head.py").read_text()


def install(folder: Path, module: str, entries: str, *, package: str = "tedm-nearest-mean") -> None:
    """Write a distribution as an installer leaves it: a module, and metadata with its entry points."""
    name = package.replace("-", "_")
    (folder / f"{name}.py").write_text(module)
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[tedm.heads]\n{entries}\n")


def _site(folder: Path) -> Iterator[Path]:
    """Put a folder of installed packages on the path, and forget what was imported from it afterwards."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder
    for name in set(sys.modules) - before:
        if name.startswith("tedm_"):
            del sys.modules[name]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A folder of installed packages."""
    (tmp_path / "site").mkdir()
    yield from _site(tmp_path / "site")


class TestNearestMean(HeadSuite):
    head = "nearest-mean"
    params: ClassVar = {"sharpness": 0.5}

    @pytest.fixture(autouse=True, scope="class")
    @staticmethod
    def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        folder = tmp_path_factory.mktemp("site")
        install(folder, EXAMPLE, "nearest-mean = tedm_nearest_mean:NearestMean")
        for _ in _site(folder):
            yield


def test_a_head_of_another_package_is_fitted_kept_and_scored(
    site: Path, make_split_store: Callable[..., FeatureStore], tmp_path: Path
) -> None:
    install(site, EXAMPLE, "nearest-mean = tedm_nearest_mean:NearestMean")
    store = make_split_store()
    method = method_named("tedm", timesteps=(1, 50, 400), head="nearest-mean")
    save_head(fit(store, method, params={"sharpness": 2.0}), tmp_path / "head")
    loaded = load_head(tmp_path / "head")
    assert (type(loaded.estimator).__module__, loaded.estimator.constructor()) == ("tedm_nearest_mean", {"sharpness": 2.0})
    assert {record.method for record in evaluate(store, {"mine": loaded})} == {"tedm-nearest-mean"}
    assert known_heads()[-1] == "nearest-mean"
    with pytest.raises(TedmError, match="nearest-mean heads know no 'sharp' .did you mean sharpness..; they know sharpness"):
        fit(store, method, params={"sharp": 2.0})
    with pytest.raises(TedmError, match="--ridge is for --head logistic, not for nearest-mean"):
        fit(store, method, ridge=2.0)
    with pytest.raises(
        TedmError,
        match="there is no head 'nearest-means'; choose one of mlp, logistic, xgboost, unet, committee, nearest-mean or",
    ):
        method_named("tedm", head="nearest-means")


def test_a_head_whose_package_is_gone_is_said(
    site: Path, make_split_store: Callable[..., FeatureStore], tmp_path: Path
) -> None:
    install(site, EXAMPLE, "nearest-mean = tedm_nearest_mean:NearestMean")
    save_head(fit(make_split_store(), method_named("timestep:50", head="nearest-mean")), tmp_path / "head")
    (site / "tedm_nearest_mean-1.0.dist-info" / "entry_points.txt").unlink()
    with pytest.raises(TedmError, match="there is no head of kind 'NearestMean' here; install the package that it is from"):
        load_head(tmp_path / "head")


def test_a_built_in_head_comes_before_an_entry_point_of_its_name(site: Path) -> None:
    install(site, "raise RuntimeError('imported')", "logistic = tedm_nearest_mean:NearestMean")
    assert method_named("tedm", head="logistic").head == "logistic"
    assert "tedm_nearest_mean" not in sys.modules


@pytest.mark.parametrize(
    ("module", "cause"),
    [
        ("raise RuntimeError('no licence\\nat all')", "import failed with RuntimeError: no licence"),
        (
            "import a_package_that_is_nowhere",
            "import failed with ModuleNotFoundError: No module named 'a_package_that_is_nowhere'",
        ),
        (
            "NearestMedian = object",
            "import failed with AttributeError: module 'tedm_nearest_mean' has no attribute 'NearestMean'",
        ),
        (EXAMPLE.replace("    capabilities =", "    abilities ="), "tedm_nearest_mean:NearestMean states no capabilities"),
        (
            EXAMPLE.replace("def opinions", "def opinion").replace("def save", "def write"),
            "tedm_nearest_mean:NearestMean has no opinions, save",
        ),
    ],
)
def test_a_broken_entry_point_is_named_in_one_line(
    site: Path, make_split_store: Callable[..., FeatureStore], module: str, cause: str
) -> None:
    install(site, module, "nearest-mean = tedm_nearest_mean:NearestMean")
    with pytest.raises(TedmError) as refused:
        method_named("tedm", head="nearest-mean")
    assert str(refused.value) == (
        f"the entry point 'nearest-mean' of the package tedm-nearest-mean in tedm.heads cannot be used: {cause}; "
        "mend or uninstall that package"
    )
    with pytest.raises(TedmError, match="--ridge is for --head logistic, not for mlp$"):  # others do not suffer from it
        fit(make_split_store(), method_named("tedm", timesteps=(1, 50)), ridge=1.0)
