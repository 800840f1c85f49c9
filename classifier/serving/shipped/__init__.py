"""The model that comes with the package: one ``*.bodysite`` file."""
