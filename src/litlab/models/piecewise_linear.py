"""Piecewise linear embeddings of a table's columns."""

import torch
from torch import Tensor, nn

from litlab.config.values import PositiveInt


class PiecewiseLinearEmbedding(nn.Module):
    """Each column as a learned function with a bend at each of its quantiles, to a vector.

    Gorishniy, Rubachev and Babenko 2022 (arXiv:2203.05556), as "version B" of the authors' rtdl_num_embeddings: a
    linear map, to which the pieces add what they learn from zero. Their class must be built with the bins, and takes
    columns that are transformed by their quantiles; this one learns the bins from the training split, keeps them in the
    checkpoint, and its linear map is of a value's rank among them, so that outliers do not matter.

    Args:
        columns: F, of the table.
        bins: with as many rows in each; quantiles that are equal leave some of no width, which are steps.
        d_embedding: D, size of a column's vector.

    Attributes:
        edges: of the bins (F, bins + 1), float32, a buffer.
    """

    edges: Tensor

    def __init__(self, columns: int, bins: PositiveInt = 96, d_embedding: PositiveInt = 24) -> None:
        super().__init__()
        self.register_buffer("edges", torch.linspace(-1, 1, bins + 1).repeat(columns, 1))
        bound = d_embedding**-0.5
        self.slope = nn.Parameter(torch.empty(columns, d_embedding).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(columns, d_embedding).uniform_(-bound, bound))
        self.pieces = nn.Parameter(torch.zeros(columns, bins, d_embedding))

    @torch.no_grad()
    def learn_inputs(self, inputs: Tensor) -> None:
        """Take the quantiles of the training split's inputs (N, F) for edges."""
        shares = torch.linspace(0, 1, self.edges.shape[1], dtype=inputs.dtype, device=inputs.device)
        self.edges.copy_(inputs.quantile(shares, dim=0).T)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, F) to (N, F, D)."""
        columns = inputs.unsqueeze(2)
        width = self.edges.diff(dim=1).clamp_min(1e-6)
        filled = ((columns - self.edges[:, :-1]) / width).clamp(0, 1)  # the share of each bin that is below the value
        rank = (filled.mean(2, keepdim=True) - 0.5) * 12**0.5  # mean 0 and standard deviation 1 on the training split
        return rank * self.slope + self.bias + torch.einsum("nfb,fbd->nfd", filled, self.pieces)
