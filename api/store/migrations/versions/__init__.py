"""One module a migration; what it does is not changed once it was released."""
