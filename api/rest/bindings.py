"""The codes that FHIR fixes for elements of what is kept here, and that its models leave open.

Facts of the required bindings of R4 (4.0.1) and R5 (5.0.0), by the type and element they are of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from api.tx.resources_store import R4, R5

Codes = Mapping[tuple[str, str], frozenset[str]]


def _table(text: str) -> dict[tuple[str, str], frozenset[str]]:
    found = {}
    for line in text.strip().splitlines():
        path, *codes = line.split()
        kind, _, element = path.partition(".")
        found[kind, element] = frozenset(codes)
    return found


_BOTH: Final = _table(
    """
    Address.use billing home old temp work
    Address.type both physical postal
    Identifier.use official old secondary temp usual
    ContactPoint.system email fax other pager phone sms url
    ContactPoint.use home mobile old temp work
    HumanName.use anonymous maiden nickname official old temp usual
    TimingRepeat.durationUnit a d h min mo s wk
    TimingRepeat.periodUnit a d h min mo s wk
    TimingRepeat.dayOfWeek fri mon sat sun thu tue wed
    Narrative.status additional empty extensions generated
    ImagingStudy.status available cancelled entered-in-error registered unknown
    Observation.status amended cancelled corrected entered-in-error final preliminary registered unknown
    Task.status accepted cancelled completed draft entered-in-error failed in-progress on-hold ready received rejected requested
    Task.priority asap routine stat urgent
    AuditEvent.action C D E R U
    Patient.gender female male other unknown
    PatientContact.gender female male other unknown
    PatientLink.type refer replaced-by replaces seealso
    Practitioner.gender female male other unknown
    """  # noqa: E501
)
_IN_R4: Final = _table(
    """
    Age.comparator < <= > >=
    Count.comparator < <= > >=
    Distance.comparator < <= > >=
    Duration.comparator < <= > >=
    Quantity.comparator < <= > >=
    TimingRepeat.when AC ACD ACM ACV AFT AFT.early AFT.late C CD CM CV EVE EVE.early EVE.late HS MORN MORN.early MORN.late NIGHT NOON PC PCD PCM PCV PHS WAKE
    DeviceUdiCarrier.entryType barcode card manual rfid self-reported unknown
    Device.status active entered-in-error inactive unknown
    DeviceDeviceName.type manufacturer-name model-name other patient-reported-name udi-label-name user-friendly-name
    ProvenanceEntity.role derivation quotation removal revision source
    Task.intent filler-order instance-order option order original-order plan proposal reflex-order unknown
    AuditEvent.outcome 0 12 4 8
    AuditEventAgentNetwork.type 1 2 3 4 5
    """  # noqa: E501
)
_IN_R5: Final = _table(
    """
    Age.comparator < <= > >= ad
    Count.comparator < <= > >= ad
    Distance.comparator < <= > >= ad
    Duration.comparator < <= > >= ad
    Quantity.comparator < <= > >= ad
    TimingRepeat.when AC ACD ACM ACV AFT AFT.early AFT.late C CD CM CV EVE EVE.early EVE.late HS IMD MORN MORN.early MORN.late NIGHT NOON PC PCD PCM PCV PHS WAKE
    ObservationTriggeredBy.type re-run reflex repeat
    DeviceUdiCarrier.entryType barcode card electronic-transmission manual rfid self-reported unknown
    Device.status active entered-in-error inactive
    DeviceName.type patient-reported-name registered-name user-friendly-name
    ProvenanceEntity.role instantiates quotation removal revision source
    Task.intent directive filler-order instance-order option order original-order plan proposal reflex-order unknown
    AuditEvent.severity alert critical debug emergency error informational notice warning
    """  # noqa: E501
)
REQUIRED_CODES: Final[Mapping[str, Codes]] = {R4: {**_BOTH, **_IN_R4}, R5: {**_BOTH, **_IN_R5}}
