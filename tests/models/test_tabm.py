"""TabM, and piecewise linear embeddings."""

import pytest
import torch
from lightning.pytorch import seed_everything
from torch import nn

from litlab.build import build_data, build_task
from litlab.load import load_run
from litlab.models.mlp import MLP
from litlab.models.piecewise_linear import PiecewiseLinearEmbedding
from litlab.models.tabm import TabM


def test_members_share_the_hidden_layers():
    model = TabM((8,), 1, members=4, hidden_sizes=[5, 6])
    # scales, two hidden layers, and a last layer for each member
    assert sum(weight.numel() for weight in model.parameters()) == 4 * 8 + (8 * 5 + 5) + (5 * 6 + 6) + 4 * (6 + 1)
    assert set(model.scale.unique().tolist()) == {-1.0, 1.0}
    rows = torch.randn(3, 8)
    each, mean = model(rows), model.eval()(rows)
    assert each.shape == (3, 4, 1) and mean.shape == (3, 1)
    assert torch.equal(each.mean(1), mean)
    assert len(each[0].unique()) == 4


def test_members_without_their_own_are_a_plain_mlp():
    plain, model = MLP((8,), 2, hidden_sizes=[16, 16]), TabM((8,), 2, members=3, hidden_sizes=[16, 16])
    first, second, last = (layer for layer in plain if isinstance(layer, nn.Linear))
    with torch.no_grad():
        model.scale.fill_(1)
        for own, other in zip(model.hidden, (first, second), strict=True):
            own.load_state_dict(other.state_dict())
        model.weight.copy_(last.weight.T)
        model.bias.copy_(last.bias)
    rows = torch.randn(32, 8)
    expected = plain(rows)
    for member in model(rows).unbind(1):
        assert torch.equal(member, expected)


def test_a_dropped_unit_is_dropped_for_all_members():
    model = TabM((4,), 1, members=3, hidden_sizes=[200], dropout=0.5)
    with torch.no_grad():
        model.scale.fill_(1)
        model.weight.copy_(model.weight[:1].clone())
        model.bias.zero_()
    each = model(torch.randn(6, 4)).squeeze(2)
    assert torch.equal(each, each[:, :1].expand(-1, 3))
    assert not torch.equal(each[0], model(torch.randn(6, 4)).squeeze(2)[0])


def test_a_column_bends_at_its_quantiles():
    embedding = PiecewiseLinearEmbedding(2, bins=2, d_embedding=1)
    embedding.learn_inputs(torch.tensor([[0.0, 5.0], [2.0, 5.0], [10.0, 5.0]]))
    assert embedding.edges.tolist() == [[0.0, 2.0, 10.0], [5.0, 5.0, 5.0]]
    with torch.no_grad():
        embedding.slope.zero_()
        embedding.bias.copy_(torch.tensor([[1.0], [2.0]]))
        embedding.pieces.copy_(torch.tensor([[[3.0], [4.0]], [[10.0], [0.0]]]))
    rows = torch.tensor([[-1.0, 4.0], [1.0, 4.9], [2.0, 5.1], [6.0, 6.0], [20.0, 7.0]])
    assert embedding(rows)[:, 0, 0].tolist() == pytest.approx([1.0, 2.5, 4.0, 6.0, 8.0])
    assert embedding(rows)[:, 1, 0].tolist() == pytest.approx([2.0, 2.0, 12.0, 12.0, 12.0])  # a step
    with torch.no_grad():
        embedding.slope.fill_(2)
        embedding.bias.zero_()
        embedding.pieces.zero_()
    ranks = [0.0, 0.25, 0.5, 0.75, 1.0]
    assert embedding(rows)[:, 0, 0].tolist() == pytest.approx([2 * 12**0.5 * (rank - 0.5) for rank in ranks])


@pytest.mark.slow
def test_a_run_keeps_the_quantiles_of_its_training_split(run, fit):
    words = ("data=breast_cancer", "model=tabm", "model.embedding.bins=6")
    splits = fit(*words).data.splits
    loaded = load_run(run(*words))
    edges = splits["train"].inputs.quantile(torch.linspace(0, 1, 7), dim=0).T
    assert torch.equal(loaded.model.inputs[0].edges, edges)


@pytest.mark.slow
def test_a_step_is_on_the_mean_of_the_members_losses(compose, fit):
    words = ("data=exam_scores", "model=tabm", "optimizer=sgd", "scheduler=none", "trainer.max_epochs=1")
    words += (
        "model.embedding=null",
        "data.batch_size=1000",
        "data.passes_per_epoch=1",
        "task.standardize_targets=true",
    )
    fitted = fit(*words)
    seed_everything(0, verbose=False)
    config = compose(*words)
    data = build_data(config)
    data.setup()
    task = build_task(config, data)
    inputs, targets = data.splits["train"]
    task.learn_scale(targets)
    standard = ((targets - task.target_mean) / task.target_std).view(-1, 1, 1)
    (task.model(inputs) - standard).square().mean().backward()
    for name, weight in task.model.named_parameters():
        expected = weight.detach() - config.optimizer.lr * (1 + config.optimizer.momentum) * weight.grad  # Nesterov
        torch.testing.assert_close(fitted.task.model.get_parameter(name).detach(), expected)
