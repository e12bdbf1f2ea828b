"""Recurrent networks for sequences."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from litlab.config.values import Fraction, PositiveInt
from litlab.models.sequences import Sequences


class RNN(nn.Module):
    """Recurrent layers, and a linear layer on the last step's hidden state.

    Args:
        input_shape: of one sample, see `Sequences`.
        num_outputs: width of the last layer.
        cell: GRU (Cho et al. 2014, arXiv:1406.1078), LSTM (Hochreiter and Schmidhuber 1997) or RNN (Elman 1990).
        hidden_size: of each direction.
        layers: stacked on each other.
        bidirectional: also read from the end; the last layer gets both final states.
        dropout: probability, of the final state and between layers.
        num_tokens: given by data of tokens.
        embedding_size: features of a token.

    Raises:
        RequestError: the samples are no sequences.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_outputs: int,
        cell: Literal["GRU", "LSTM", "RNN"] = "GRU",
        hidden_size: PositiveInt = 64,
        layers: PositiveInt = 1,
        bidirectional: bool = False,
        dropout: Fraction = 0.0,
        num_tokens: int | None = None,
        embedding_size: PositiveInt = 32,
    ) -> None:
        super().__init__()
        self.sequences = Sequences(input_shape, num_tokens, embedding_size)
        self.recurrent = getattr(nn, cell)(
            self.sequences.features,
            hidden_size,
            layers,
            batch_first=True,
            dropout=dropout if layers > 1 else 0.0,  # torch's is between layers alone
            bidirectional=bidirectional,
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size * (2 if bidirectional else 1), num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, *input_shape) to (N, num_outputs)."""
        _, state = self.recurrent(self.sequences(inputs))
        hidden = state[0] if isinstance(state, tuple) else state  # (layers * directions, N, hidden_size)
        last = hidden[-2:] if self.recurrent.bidirectional else hidden[-1:]
        return self.head(self.dropout(last.transpose(0, 1).flatten(1)))
