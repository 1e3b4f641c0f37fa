"""How much memory a loss takes at a time."""

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Storages(TorchDispatchMode):
    """The memory of every tensor that is made, kept so that none gets the place of another."""

    def __init__(self) -> None:
        super().__init__()
        self.storages: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and tensor.numel():
                self.storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return out

    def largest(self, *others: Tensor) -> int:
        """Bytes of the largest tensor beside the others."""
        places = {tensor.untyped_storage().data_ptr() for tensor in others}
        return max(storage.nbytes() for place, storage in self.storages.items() if place not in places)
