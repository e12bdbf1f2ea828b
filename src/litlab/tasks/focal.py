"""The focal loss, for classes that are easy to tell but for a few samples."""

from torch import Tensor

GAMMA = 2.0  # the paper's best


def focal(cross_entropy: Tensor) -> Tensor:
    """Focal losses (N,) from the cross entropies (N,) of the samples: confident predictions count for little.

    (1 - p)^2 times -log(p), p being the probability of the sample's class (Lin et al. 2017, arXiv:1708.02002).
    """
    return (1 - (-cross_entropy).exp()).pow(GAMMA) * cross_entropy
