"""Calibration: probabilities that mean what they say, and answers that stop where it is unsure."""
