"""The peak of a process that fits a head stays within the budget, and does not grow with the number of images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MEMORY = 900 * 10**6  # 500 MB of it are what is imported

FIT = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
from pathlib import Path
from synthetic import peak_bytes
from tedm.heads import fit, method_named
from tedm.store import FeatureStore
torch.set_num_threads(1)
head, images, options = sys.argv[3], int(sys.argv[4]), eval(sys.argv[5])
fit(FeatureStore.open(Path(sys.argv[2])), method_named("tedm", head=head), images=images, memory=int(sys.argv[6]), **options)
print(peak_bytes())
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """26 training images of 8 MB each; what makes it has a peak of its own, so that is another process."""
    path = tmp_path_factory.mktemp("peak") / "store"
    code = f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r})\nfrom pathlib import Path\nfrom synthetic import make_store\n"
    _python(code + f"make_store(Path({str(path)!r}), 'tedm', 28, size=64)")
    return path


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
@pytest.mark.parametrize(
    ("head", "options"),
    [
        ("logistic", {"iterations": 3}),
        ("mlp", {"iterations": 60}),
        ("mlp", {"iterations": 4, "batch": "images", "images_per_batch": 2}),
        ("xgboost", {"iterations": 2, "pixels_per_image": 200}),
        ("sklearn:linear_model.SGDClassifier", {}),
        ("sklearn:neighbors.KNeighborsClassifier", {}),
    ],
)
def test_the_peak_is_within_the_budget_and_flat(store, head, options):
    # Twelve images are more than stay in memory: from there on nothing but labels may grow.
    few, many = (int(_python(FIT, BENCHMARKS, store, head, images, options, MEMORY)) for images in (12, 26))
    assert max(few, many) <= MEMORY
    assert many <= 1.1 * few


def _python(code: str, *arguments: object) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return done.stdout.strip()
