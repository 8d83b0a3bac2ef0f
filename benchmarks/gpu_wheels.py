"""Pack what a machine without a package index lacks for `make gpu`, as wheels of at most 60 MB in all.

    python benchmarks/gpu_wheels.py [FOLDER] [--python 3.12] [--platform x86_64] [--there NAME ...] [--most 60]

Run it where there is an index; FOLDER (`gpu-wheels` beside the Makefile, which git ignores) then travels with the repository,
and `make gpu` installs from it with --no-index. Packed are the dependencies that pyproject.toml names, in the versions of
constraints.txt, with what these need, pytest, MONAI and setuptools. Not packed is what the machine is taken to have (--there:
NumPy, SciPy and Pillow, which are 58 MB alone), torch with all that it brings, and what the run does not need: XGBoost and
Matplotlib.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEVER = ("torch", "matplotlib")
EXTRAS = {"pytest": "dev", "einops": "monai"}  # and the extra of pyproject.toml that says which version
WITHOUT_NEEDS = ("monai", "einops")  # MONAI would bring torch along
GLIBC = ("2_28", "2_27", "2_24", "2_17", "2_12", "2_5")


def main() -> None:
    """Download, throw out what is there, and weigh."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "gpu-wheels")
    parser.add_argument("--python", default="3.12", help="version of Python over there")
    parser.add_argument("--platform", default="x86_64", help="processor over there, as Linux calls it")
    parser.add_argument(
        "--there", nargs="*", default=["numpy", "scipy", "pillow"], metavar="NAME", help="packages that are there"
    )
    parser.add_argument("--most", type=float, default=60.0, help="MB of all wheels")
    asked = parser.parse_args()
    there = {_plain(name) for name in (*asked.there, *NEVER)}
    with tempfile.TemporaryDirectory() as scratch:
        wheels = Path(scratch)
        wanted = [each for each in requirements() if _plain(each) not in there]
        alone = [each for each in wanted if _plain(each) in WITHOUT_NEEDS]
        _download(wheels, [each for each in wanted if each not in alone], asked)
        _download(wheels, alone, asked, "--no-deps")
        packed = sorted(path for path in wheels.iterdir() if _plain(path.name.split("-")[0]) not in there)
        megabytes = sum(path.stat().st_size for path in packed) / 1e6
        for path in sorted(packed, key=lambda path: -path.stat().st_size)[:8]:
            print(f"{path.stat().st_size / 1e6:6.1f} MB  {path.name}")
        if megabytes > asked.most:
            sys.exit(
                f"{len(packed)} wheels have {megabytes:.1f} MB, more than {asked.most:g}; {asked.folder} was not written\n"
                "Name with --there what the machine has (its pip list says it), or allow more with --most."
            )
        if asked.folder.exists():
            shutil.rmtree(asked.folder)
        asked.folder.mkdir(parents=True)
        for path in packed:
            shutil.copy(path, asked.folder)
    names = [each for each in wanted if _plain(each) != "setuptools"]
    (asked.folder / "requirements.txt").write_text("\n".join([*names, ""]))
    print(f"{len(packed)} wheels for Python {asked.python} on {asked.platform}, {megabytes:.1f} MB, are in {asked.folder}")
    print(f"not among them, and needed there: torch, {', '.join(asked.there)}")


def requirements() -> list[str]:
    """Return what is to be there: dependencies, and what the run takes besides, by name and range of versions."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    more = [next(each for each in extras[extra] if _plain(each) == name) for name, extra in EXTRAS.items()]
    return [*project["project"]["dependencies"], *more, *project["build-system"]["requires"]]


def _download(folder: Path, wanted: list[str], asked: argparse.Namespace, *options: str) -> None:
    if not wanted:
        return
    platforms = [f"manylinux_{glibc}_{asked.platform}" for glibc in GLIBC] + [f"manylinux2014_{asked.platform}"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    command += ["--python-version", asked.python, "--implementation", "cp", *(f"--platform={each}" for each in platforms)]
    command += ["--constraint", str(ROOT / "constraints.txt"), "--dest", str(folder), *options, *wanted]
    if subprocess.run(command).returncode:
        sys.exit("pip could not download the wheels, see above; nothing was written")


def _plain(requirement: str) -> str:
    """Return a package's name as it is compared: `dask[array]>=2025.1` is dask."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement)[0]).lower()


if __name__ == "__main__":
    main()
