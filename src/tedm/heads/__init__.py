"""Small classifiers on features: fitting, voting, scoring, saving.

This is the door: what other packages and users need is here, and the rooms behind it are nobody else's business.
"""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)

__all__ = [
    "Head",
    "Method",
    "Record",
    "Segmenter",
    "calibrate",
    "evaluate",
    "fit",
    "learn_weights",
    "load_head",
    "method_named",
    "predict",
    "probe",
    "rank",
    "save_head",
    "summarise",
]
