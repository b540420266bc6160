"""Blocks: plain PyTorch modules and functions. Exported networks carry copies of their source, so they import nothing but torch."""
