"""The tables and figures of the TEDM paper (arXiv:2311.07421), made from records of a study."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
