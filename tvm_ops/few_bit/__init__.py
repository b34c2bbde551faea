"""Whole networks of few bits against float32: which layer is which task, measured and summed."""
