"""The model behind the service: how it is loaded, asked by many at once, and described."""
