"""Simulated radiographs with exact labels: ray sums through a CT volume or a procedural phantom."""
