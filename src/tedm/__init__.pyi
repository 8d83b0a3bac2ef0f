from .study.arrays.fitting import fit_images
from .study.arrays.labelled import dataset
from .study.arrays.result import Segmentation
from .study.arrays.session import Session, segment

__version__: str

__all__ = [
    "Segmentation",
    "Session",
    "dataset",
    "fit_images",
    "segment",
]
