"""RF2 files of releases that the tests make up, and their indexes."""

from uuid import UUID

from terminology.identifiers import verhoeff_ok
from terminology.release.build import compile_rows
from terminology.release.index import ReleaseIndex
from terminology.rf2 import read_release

CORE = "900000000000207008"
DEFINED, PRIMITIVE = "900000000000073002", "900000000000074008"
INFERRED, SOME = "900000000000011006", "900000000000451002"
CASE = "900000000000448009"

_START = "id effectiveTime active moduleId"
_ATTRIBUTE = "relationshipGroup typeId characteristicTypeId modifierId"
CONCEPT = f"{_START} definitionStatusId"
DESCRIPTION = f"{_START} conceptId languageCode typeId term caseSignificanceId"
RELATIONSHIP = f"{_START} sourceId destinationId {_ATTRIBUTE}"
CONCRETE = f"{_START} sourceId value {_ATTRIBUTE}"
IDENTIFIER = (
    "alternateIdentifier effectiveTime active moduleId identifierSchemeId referencedComponentId"
)
# The columns of a reference set come behind it.
MEMBER = f"{_START} refsetId referencedComponentId"


def made_up(number, partition="10"):
    """Return a valid identifier that exists nowhere else.

    The partition says of what: 10 concept, 11 description, 12 relationship.
    """
    stem = f"{number}9999999{partition}"
    return next(stem + digit for digit in "0123456789" if verhoeff_ok(stem + digit))


class Writer:
    """Writes the Snapshot files of one release into a folder."""

    def __init__(self, folder, date):
        self.date = date
        self._folder = folder
        self._members = 0

    def write(self, name, header, rows):
        lines = ["\t".join(header.split()), *("\t".join(map(str, row)) for row in rows)]
        path = self._folder / f"{name}_INT_{self.date}.txt"
        path.write_text("".join(f"{line}\r\n" for line in lines), encoding="utf-8", newline="")

    def uuid(self):
        """Return the id of a further member of a reference set."""
        self._members += 1
        return str(UUID(int=self._members))


def index_of(folder, version):
    """Return the index of the release in a folder."""
    facts, arrays = compile_rows(read_release([folder], version_uri=version))
    held = dict(arrays)
    return ReleaseIndex(facts, held)
