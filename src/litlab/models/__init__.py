"""Models: plain `nn.Module`s from tensors to tensors."""
