"""What composes extraction, heads and figures: everything that a command does, from Python."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
