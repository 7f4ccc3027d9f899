"""Checks of the charts, run by charts/check."""
