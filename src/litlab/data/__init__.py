"""Data sets: one LightningDataModule each, its splits in memory as tensors."""
