"""A study as a file: what it asks for, its units of work, and running them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
