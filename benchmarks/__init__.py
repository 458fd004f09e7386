"""Measurements of sknesy, as ratios within one run on one thread."""
