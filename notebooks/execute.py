"""Run the notebooks from top to bottom and keep what they show.

`make notebooks` runs all of them; `python notebooks/execute.py --out FOLDER 01-look-at-features` runs one and leaves what is
committed alone. They run in a folder of their own (`--work`, or one that is deleted afterwards), so that no path of a machine
gets into them; neither do times, warnings or the version of Python.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
SECONDS = 300  # for one cell, on a busy machine
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def execute(path: Path, out: Path, work: Path) -> None:
    """Run one notebook in the folder `work` and write it, with its outputs, to the folder `out`."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.metadata.clear()
    with tempfile.TemporaryDirectory() as own:  # no history of a user's, no startup files
        os.environ |= {"IPYTHONDIR": own, "JUPYTER_RUNTIME_DIR": own}
        NotebookClient(
            notebook,
            timeout=SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": str(work)}},
            record_timing=False,
            coalesce_streams=True,
            extra_arguments=["--log-level=40"],  # it warns of talking over loopback
        ).execute()
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    nbformat.write(notebook, out / path.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="notebooks without .ipynb; all, if there is none")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the notebooks with outputs")
    parser.add_argument("--work", type=Path, help="folder to run in, which keeps the features from one run to the next")
    given = parser.parse_args()
    paths = [HERE / f"{name}.ipynb" for name in given.names] or sorted(HERE.glob("*.ipynb"))
    with tempfile.TemporaryDirectory() as folder:
        work = given.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        for path in paths:
            execute(path, given.out, work.resolve())
            print(path.name)


if __name__ == "__main__":
    main()
