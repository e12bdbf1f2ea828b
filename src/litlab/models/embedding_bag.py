"""Bags of tokens, for texts."""

from collections.abc import Sequence

from torch import Tensor, nn

from litlab.config.values import Fraction, PositiveInt
from litlab.models.mlp import MLP


class EmbeddingBag(nn.Module):
    """The sum of the embeddings of a text's tokens, and fully connected layers on top (Joulin et al. 2016, fastText).

    The sum is divided by the square root of the number of tokens: in a mean, one word of a long text would be lost.

    Args:
        input_shape: (length,) of a text, padded with 0, which does not count.
        num_outputs: width of the last layer.
        num_tokens: numbers that a token may have.
        embedding_size: of a token.
        hidden_sizes: widths of the fully connected layers before the last.
        activation: name of a class of torch.nn.
        dropout: probability, for the hidden units and, before them, the sum.

    Raises:
        ValueError: no such activation in torch.nn.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_outputs: int,
        num_tokens: int,
        embedding_size: PositiveInt = 32,
        hidden_sizes: Sequence[PositiveInt] = (),
        activation: str = "ReLU",
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(num_tokens, embedding_size, mode="sum", padding_idx=0)
        nn.init.uniform_(self.bag.weight, -0.05, 0.05)  # of the usual N(0, 1), rare words would be loud
        self.dropout = nn.Dropout(dropout)
        self.head = MLP((embedding_size,), num_outputs, hidden_sizes, activation, dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, length), int64, to (N, num_outputs)."""
        count = (inputs > 0).sum(1, keepdim=True).clamp(min=1)
        return self.head(self.dropout(self.bag(inputs) / count.sqrt()))
