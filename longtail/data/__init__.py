"""Data modules for Lightning's Trainer; each can be read without one.

``__init__.pyi`` says where each lies. It is imported, and Lightning with it, when it is first named.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
