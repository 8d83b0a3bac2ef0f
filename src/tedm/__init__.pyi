from .study.arrays.result import Segmentation
from .study.arrays.session import Session, segment

__version__: str

__all__ = [
    "Segmentation",
    "Session",
    "segment",
]
