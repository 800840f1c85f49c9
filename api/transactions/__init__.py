"""Bundles of requests: a batch of what stands for itself, and a transaction, which is one."""
