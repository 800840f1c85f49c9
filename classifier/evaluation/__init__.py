"""Evaluation: metrics with their floors, pictures, reports."""
