"""How much memory a loss takes at a time."""

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Storages(TorchDispatchMode):
    """The memory of every tensor that is made, kept so that none gets the place of another."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for each in tree_leaves(out):
            if isinstance(each, Tensor) and each.numel():
                self.found[each.untyped_storage().data_ptr()] = each.untyped_storage()
        return out

    def largest(self, *others: Tensor) -> int:
        """Bytes of the largest tensor beside the others."""
        own = {each.untyped_storage().data_ptr() for each in others}
        return max(each.nbytes() for place, each in self.found.items() if place not in own)
