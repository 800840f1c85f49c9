"""The FHIR terminology engine: code systems, value sets and concept maps as plain JSON in R5 form.

`provider` says what the engine asks of a code system, `context` what one request sees, `parameters`
how operations are read and answered. SNOMED CT is one provider among others. Nothing in this
package speaks HTTP or R4; both belong to the border.
"""
