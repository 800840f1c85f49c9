"""$batch-validate-code on ValueSet and CodeSystem: many validations in one call."""

from __future__ import annotations

from api.outcome import outcome_of
from api.tx.context import TxContext
from api.tx.parameters import Parameters, parameters, resource_parameter
from api.tx.provider import Json
from api.tx.validate import validate_code_system_code, validate_value_set_code
from terminology.errors import BodySiteError

_ENTRY = "validation"


def batch_validate(parameters_: Json, context: TxContext) -> Json:
    """Return an answer for each `validation`, in order; an OperationOutcome where one fails.

    Parameters
    ----------
    parameters_
        Each `validation` holds the Parameters of one validation; all others are common, and an
        entry's own come first. A validation that names a value set is one against it, any other is
        one against its code system.
    context
        The terminology, made from `parameters_`.
    """
    asked = Parameters.of(parameters_)
    common = [e for e in asked if e.get("name") not in {_ENTRY, "tx-resource"}]
    answers = []
    for resource in asked.resources(_ENTRY):
        own = Parameters.of(resource)
        entries = [*own, *(e for e in common if str(e.get("name")) not in own)]
        answers.append(resource_parameter(_ENTRY, _answer(Parameters(entries), context)))
    return parameters(*answers)


def _answer(asked: Parameters, context: TxContext) -> Json:
    request = parameters(*map(dict, asked))
    seen = context.wishing(asked)
    of_value_set = "valueSet" in asked or ("url" in asked and _names_value_set(asked, seen))
    validate = validate_value_set_code if of_value_set else validate_code_system_code
    try:
        return validate(request, seen)
    except BodySiteError as error:
        return outcome_of(error)


def _names_value_set(asked: Parameters, context: TxContext) -> bool:
    """Return whether `url` is not that of a code system, which either operation may be given."""
    return context.code_system(asked.text("url") or "") is None
