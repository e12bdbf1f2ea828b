"""Recurrent networks and transformers: what they see of sequences, images and tokens, in which order."""

import pytest
import torch
from torch import nn

from litlab.data.waves import Waves
from litlab.errors import RequestError
from litlab.models.rnn import RNN
from litlab.models.sequences import Sequences
from litlab.models.transformer import Transformer


def test_sequences_of_samples():
    images = torch.arange(24.0).reshape(1, 2, 3, 4)
    rows = Sequences((2, 3, 4), None, 5)
    assert (rows.length, rows.features) == (3, 8)
    assert rows(images)[0, 1].tolist() == [4, 5, 6, 7, 16, 17, 18, 19]  # the second row of both channels
    waves = torch.randn(6, 7, 2)
    assert Sequences((7, 2), None, 5)(waves) is waves
    tokens = Sequences((4,), 10, 5)
    assert tokens(torch.tensor([[1, 9, 0, 1]])).equal(tokens.embedding.weight[[1, 9, 0, 1]][None])
    with pytest.raises(RequestError, match=r"model: needs sequences .* input_shape = \(8,\); try model=mlp"):
        Sequences((8,), None, 5)


@pytest.mark.parametrize("cell", ["GRU", "LSTM", "RNN"])
def test_a_recurrent_network_is_torchs_and_its_last_step(cell):
    model, x = RNN((7, 2), 3, cell, hidden_size=4), torch.randn(5, 7, 2)
    steps, _ = model.recurrent(x)
    torch.testing.assert_close(model(x), model.head(steps[:, -1]))
    both = RNN((7, 2), 3, cell, hidden_size=4, bidirectional=True)
    steps, _ = both.recurrent(x)
    torch.testing.assert_close(both(x), both.head(torch.cat((steps[:, -1, :4], steps[:, 0, 4:]), 1)))


def test_a_transformer_knows_the_order_by_its_positions_alone():
    model, x = Transformer((7, 2), 3, width=8, heads=2).eval(), torch.randn(5, 7, 2)
    assert not torch.allclose(model(x), model(x.flip(1)), atol=1e-4)
    nn.init.zeros_(model.positions)
    torch.testing.assert_close(model(x), model(x.flip(1)))
    assert Transformer((4,), 3, num_tokens=10)(torch.tensor([[1, 9, 0, 1]])).shape == (1, 3)
    with pytest.raises(RequestError, match=r"model.width=9: must be a multiple of model.heads=2"):
        Transformer((7, 2), 3, width=9, heads=2)


def test_waves():
    (inputs, labels), none = Waves(samples=300, noise=0.0).load()
    assert none is None and inputs.shape == (300, 64, 1) and labels.bincount().tolist() == [100] * 3
    again, _ = Waves(samples=300, noise=0.0).load()
    assert inputs.equal(again.inputs)
    square = inputs[labels == 1].squeeze(2)
    amplitude = square.abs().amax(1, keepdim=True)
    assert (square.abs() / amplitude).min() > 0.999 and 0.5 <= amplitude.min() <= amplitude.max() <= 1.5
