"""Embeddings in front of a model for numbers."""

import torch
from torch import nn

from litlab.models.category_embedding import CategoryEmbedding, embedded_width, embedding_size


def test_indices_become_vectors_and_unknown_ones_zeros():
    embeddings = ((1, 51), (3, 100))
    width = embedded_width(4, embeddings)
    assert width == 2 + embedding_size(51) + embedding_size(100) == 2 + 14 + 21
    model = CategoryEmbedding(nn.Identity(), embeddings)
    out = model(torch.tensor([[0.5, 0, -1.0, 7], [0.5, 50, -1.0, 0]]))
    assert out.shape == (2, width) and out[:, :2].tolist() == [[0.5, -1.0], [0.5, -1.0]]
    assert not out[0, 2:16].any() and torch.equal(out[0, 16:], model.embeddings[1].weight[7])
    assert torch.equal(out[1, 2:16], model.embeddings[0].weight[50]) and not out[1, 16:].any()
