"""The RESTful interface of the resources in the store: what clients send, and what they get.

Free of the web framework: `api.routes.resources` brings HTTP, `api.transactions` brings Bundles.
"""
