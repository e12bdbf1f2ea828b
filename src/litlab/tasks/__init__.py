"""Tasks: a LightningModule each, a model + a loss + metrics."""
