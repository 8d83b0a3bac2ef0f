"""Pre-trained networks as sources of activations: kinds of networks, their checkpoints, the noise they were trained with."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
