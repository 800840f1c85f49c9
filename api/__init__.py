"""The FHIR service and the `bodysite` command: annotations in, coded resources out.

Imports run one way, `terminology` ← `classifier` ← `api`. The service is built by
`api.app.create_app` out of parts that are handed to it; nothing is imported here, so that the
command line starts at once.
"""
