"""Files of volumes: what they say of themselves, their voxels, and label maps written in their own geometry."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
