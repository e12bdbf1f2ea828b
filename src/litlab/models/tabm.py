"""TabM: an ensemble of MLPs that share almost all of their weights."""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litlab.config.values import Fraction, PositiveInt
from litlab.models.mlp import activation_class, input_layers


class TabM(nn.Module):
    """TabM-mini (Gorishniy, Kotelnikov and Babenko 2025, arXiv:2410.24210): MLPs with the same hidden layers.

    What is a member's own: numbers by which it multiplies its inputs, one per embedded or raw one, and its last layer.
    Each is trained on its own loss (`Task.training_objective`), and the prediction is the mean of theirs: of logits,
    where the authors average probabilities.

    Args:
        input_shape: shape of one sample, which is flattened.
        num_outputs: width of the last layers.
        members: how many.
        hidden_sizes: widths of the hidden layers, at least one.
        activation: name of a class of torch.nn.
        dropout: probability, for the hidden units. Members share the mask of a sample; drawing one for each, as the
            authors do, takes longer than all the products.
        embedding: as of `MLP`.

    Raises:
        RequestError: an embedding for samples that are not rows of a table.
        ValueError: torch.nn has no such activation.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_outputs: int,
        members: PositiveInt = 8,
        hidden_sizes: Sequence[PositiveInt] = (256, 256, 256),
        activation: str = "ReLU",
        dropout: Fraction = 0.0,
        embedding: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        layers, width = input_layers(input_shape, embedding)
        self.members, self.dropout = members, dropout
        self.inputs = nn.Sequential(*layers)
        # One number per member and column, so that they see different columns; of raw inputs, signs.
        drawn = torch.randn(members, input_shape[0]).repeat_interleave(width // input_shape[0], 1)
        self.scale = nn.Parameter(drawn if embedding else torch.randint(2, (members, width)) * 2.0 - 1)
        self.activation = activation_class(activation)()
        sizes = [width, *hidden_sizes]
        self.hidden = nn.ModuleList(nn.Linear(*pair) for pair in itertools.pairwise(sizes))
        bound = sizes[-1] ** -0.5
        self.weight = nn.Parameter(torch.empty(members, sizes[-1], num_outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, num_outputs).uniform_(-bound, bound))

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, *input_shape) to (N, num_outputs); in training to each member's outputs, (N, members, num_outputs)."""
        units = self.inputs(inputs).unsqueeze(1) * self.scale
        for layer in self.hidden:
            units = self.activation(layer(units))
            units = F.dropout1d(units.mT, self.dropout, self.training).mT  # drops a unit for all members
        outputs = torch.einsum("nmd,mdo->nmo", units, self.weight) + self.bias
        return outputs if self.training else outputs.mean(1)
