"""Convolutional networks for sequences."""

from collections.abc import Sequence

from torch import Tensor, nn

from litlab.config.values import Fraction, PositiveInt
from litlab.errors import RequestError
from litlab.models.mlp import MLP, activation_class


class CNN1d(nn.Module):
    """Stages of a convolution over time, a pooling and the activation, and fully connected layers on top.

    Args:
        input_shape: (time, channels) of a sequence, or (time,) of one channel.
        num_outputs: width of the last layer.
        channels: output channels of the convolutions, one number per stage.
        kernel_size: of the convolutions, in time steps; odd.
        pool_size: in time steps; the sequence shrinks by this factor in each stage.
        global_pooling: average each channel over the remaining time, instead of flattening it.
        batch_norm: Ioffe and Szegedy 2015, arXiv:1502.03167.
        hidden_sizes: widths of the fully connected layers before the last.
        activation: name of a class of torch.nn.
        dropout: probability, for the hidden units of the fully connected layers.

    Raises:
        RequestError: the samples are not sequences, or too short for so many stages.
        ValueError: no such activation in torch.nn.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_outputs: int,
        channels: Sequence[PositiveInt] = (32, 64, 128),
        kernel_size: PositiveInt = 7,
        pool_size: PositiveInt = 2,
        global_pooling: bool = True,
        batch_norm: bool = True,
        hidden_sizes: Sequence[PositiveInt] = (),
        activation: str = "ReLU",
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        if len(input_shape) not in (1, 2):
            raise RequestError(
                f"model=cnn1d: needs sequences (time, channels), and these samples are {tuple(input_shape)}; "
                f"try model={'cnn' if len(input_shape) == 3 else 'mlp'}"
            )
        if kernel_size % 2 == 0:
            raise RequestError(f"model.kernel_size={kernel_size}: must be odd, such as {kernel_size + 1}")
        time, width = (*input_shape, 1)[:2]
        left = time // pool_size ** len(channels)
        if left < 1:
            stages = f"{len(channels)} stage{'s' * (len(channels) > 1)}"
            raise RequestError(
                f"model.channels={list(channels)}: sequences of {time} steps are too short for {stages}; use fewer, or "
                "model=mlp"
            )
        make_activation, layers = activation_class(activation), list[nn.Module]()
        for each in channels:
            layers += [nn.Conv1d(width, each, kernel_size, padding=kernel_size // 2, bias=not batch_norm)]
            layers += [nn.MaxPool1d(pool_size)] if pool_size > 1 else []
            layers += [nn.BatchNorm1d(each)] if batch_norm else []
            layers.append(make_activation())
            width, time = each, time // pool_size
        layers += [nn.AdaptiveAvgPool1d(1)] if global_pooling else []
        self.features = nn.Sequential(*layers)
        self.head = MLP((width, 1 if global_pooling else time), num_outputs, hidden_sizes, activation, dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, time, channels) or (N, time) to (N, num_outputs)."""
        signal = inputs.unsqueeze(1) if inputs.dim() == 2 else inputs.transpose(1, 2)
        return self.head(self.features(signal))
