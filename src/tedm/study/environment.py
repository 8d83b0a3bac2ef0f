"""What a bug report needs to say of the machine: no user, no host, no path in it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from importlib.metadata import PackageNotFoundError, version

import psutil
import torch

from tedm.extract import available_cores, choose_arithmetic

PACKAGES = ("tedm", "torch", "zarr", "numcodecs", "numpy", "dask", "scikit-learn", "xgboost", "xgboost-cpu", "obstore")


def environment_here() -> dict[str, str]:
    """Return versions, processor, memory, devices, precision and free space, in words."""
    memory = psutil.virtual_memory()
    auto = choose_arithmetic()
    return {
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        **{package: _version(package) for package in PACKAGES},
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": choose_arithmetic(device="cpu").processor,
        "cores": f"{available_cores()} for this process, {os.cpu_count()} in all",
        "memory": f"{_gigabytes(memory.available)} free of {_gigabytes(memory.total)}",
        "CUDA devices": _cuda(),
        "device auto": auto.device,
        "precision auto": auto.precision,
        "free space here": _gigabytes(shutil.disk_usage(".").free),
        "free space for temporary files": _gigabytes(shutil.disk_usage(tempfile.gettempdir()).free),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _gigabytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB"


def _cuda() -> str:
    """Return the names and memory of the GPUs that torch sees, and their driver."""
    if not torch.cuda.is_available():
        return "none"
    properties = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    names = ", ".join(f"{each.name} ({_gigabytes(each.total_memory)})" for each in properties)
    return f"{names}; CUDA {torch.version.cuda}, driver {_driver()}"


def _driver() -> str:
    try:
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        said = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return said.split("\n", 1)[0].strip()
