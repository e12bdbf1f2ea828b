"""Learned vectors for the categories of a table, in front of any model for numbers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def embedding_size(categories: int) -> int:
    """1.6 * categories ** 0.56, at most 32 (the rule of fastai's tabular models)."""
    return min(32, round(1.6 * categories**0.56))


def embedded_width(width: int, embeddings: Sequence[tuple[int, int]]) -> int:
    """The numbers that `CategoryEmbedding` makes of `width` inputs."""
    return width + sum(embedding_size(categories) - 1 for _, categories in embeddings)


class CategoryEmbedding(nn.Module):
    """Replaces the inputs that are indices by vectors; index 0, for categories never seen, by zeros.

    Args:
        model: takes inputs of `embedded_width`.
        embeddings: position of each index among the inputs, and how many different ones there are.
    """

    def __init__(self, model: nn.Module, embeddings: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.positions = [position for position, _ in embeddings]
        self.embeddings = nn.ModuleList(
            nn.Embedding(categories, embedding_size(categories), padding_idx=0) for _, categories in embeddings
        )
        self.model = model
        self.members = getattr(model, "members", None)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, F) to the model's outputs."""
        indices = set(self.positions)
        numbers = inputs[:, [each for each in range(inputs.shape[1]) if each not in indices]]
        vectors = [embed(inputs[:, at].long()) for at, embed in zip(self.positions, self.embeddings, strict=True)]
        return self.model(torch.cat([numbers, *vectors], dim=1))
