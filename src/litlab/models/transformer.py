"""A small transformer encoder for sequences."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from litlab.config.values import Fraction, PositiveInt
from litlab.errors import RequestError
from litlab.models.sequences import Sequences


class Transformer(nn.Module):
    """Linear embedding, learned positions, encoder layers, the mean over time, a linear layer.

    Vaswani et al. 2017 (arXiv:1706.03762); normalization comes first in each layer, which trains without warm-up
    (Xiong et al. 2020, arXiv:2002.04745).

    Args:
        input_shape: of one sample, see `Sequences`.
        num_outputs: width of the last layer.
        width: of the embedding.
        heads: of the attention; they share the width.
        layers: encoder layers.
        mlp_ratio: width of a layer's hidden units, as a multiple of `width`.
        dropout: probability.
        num_tokens: given by data of tokens.

    Raises:
        RequestError: the samples are no sequences, or the width is no multiple of the heads.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_outputs: int,
        width: PositiveInt = 64,
        heads: PositiveInt = 4,
        layers: PositiveInt = 2,
        mlp_ratio: PositiveInt = 2,
        dropout: Fraction = 0.0,
        num_tokens: int | None = None,
    ) -> None:
        super().__init__()
        if width % heads:
            raise RequestError(f"model.width={width}: must be a multiple of model.heads={heads}")
        self.sequences = Sequences(input_shape, num_tokens, width)
        self.embed = nn.Identity() if num_tokens is not None else nn.Linear(self.sequences.features, width)
        self.positions = nn.Parameter(torch.randn(self.sequences.length, width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width, heads, mlp_ratio * width, dropout, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, *input_shape) to (N, num_outputs)."""
        embedded = self.embed(self.sequences(inputs)) + self.positions
        return self.head(self.encoder(embedded).mean(1))
