"""torch's internals that litlab needs."""

from torch import Tensor


def version(tensor: Tensor) -> int:
    """How often a tensor was changed in place, views of it included; autograd checks saved tensors by it.

    Raises:
        RuntimeError: the tensor was made in inference mode, which does not count.
    """
    return tensor._version
