"""OmegaConf's internals that litlab needs."""

from omegaconf import Container, DictConfig


def root(node: Container) -> DictConfig:
    """The whole config that a node is part of."""
    found = node._get_root()
    assert isinstance(found, DictConfig)
    return found
