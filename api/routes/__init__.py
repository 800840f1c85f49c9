"""The HTTP routes: dependency in, one call, resource out."""
