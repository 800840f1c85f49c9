"""One annotation, two renderings: resources between the releases R4 and R5 of FHIR.

The store keeps R4. `rendered` gives what it keeps in a release, `taken_in` brings what a client
sent in a release to what is kept. Nothing is lost on the way there and back: what one release has
no element for travels in the extensions that FHIR reserves for elements of other releases.
"""

from api.rendering.convert import RELEASES, rendered, taken_in

__all__ = ["RELEASES", "rendered", "taken_in"]
