"""Images and masks: files listed, checked, read, brought to the backbone's square, and written."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
