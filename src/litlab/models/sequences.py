"""Sequences (N, time, features) out of whatever samples have an order: sequences, rows of images, tokens."""

from collections.abc import Sequence

from torch import Tensor, nn

from litlab.config.values import PositiveInt
from litlab.errors import RequestError


class Sequences(nn.Module):
    """Sequences (N, time, channels) as they are; images (N, C, H, W) as H rows of C * W features; tokens embedded.

    Args:
        input_shape: of one sample: (time, channels), (channels, height, width), or (time,) for tokens.
        num_tokens: inputs are tokens, int64, from 0 to num_tokens - 1; None: float32 numbers.
        embedding_size: features of a token.

    Attributes:
        length, features: of a sequence.

    Raises:
        RequestError: rows of a table have no order.
    """

    def __init__(self, input_shape: Sequence[int], num_tokens: int | None, embedding_size: PositiveInt) -> None:
        super().__init__()
        self.embedding: nn.Embedding | None = None
        match tuple(input_shape), num_tokens:
            case (length,), int(tokens):
                self.length, self.features = length, embedding_size
                self.embedding = nn.Embedding(tokens, embedding_size)
            case (length, features), None:
                self.length, self.features = length, features
            case (channels, height, width), None:
                self.length, self.features = height, channels * width
            case _:
                raise RequestError(
                    "model: needs sequences (time x channels), images or tokens, and these samples are of "
                    f"input_shape = {tuple(input_shape)}; try model=mlp"
                )

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, *input_shape) to (N, length, features)."""
        if self.embedding is not None:
            return self.embedding(inputs)
        return inputs if inputs.dim() == 3 else inputs.transpose(1, 2).flatten(2)
