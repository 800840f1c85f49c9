"""Which codes are in a value set: the question of `:in`, put to the terminology service."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from api.errors import SearchError
from api.tx.compose import supplements_named_by
from api.tx.errors import TxError
from api.tx.inquiry import Inquiry, Trial
from api.tx.membership import ValueSetChecker
from api.tx.options import ValidateOptions
from api.tx.parameters import Parameters
from api.tx.service import TerminologyService
from api.tx.systems import Systems
from api.tx.value_sets import ValueSetTrail
from api.tx.versions import split_canonical

_NOTHING = {"resourceType": "Parameters"}


@dataclass(frozen=True, slots=True)
class ValueSets:
    """Answers whether codes are in value sets; never with less than the whole of them."""

    service: TerminologyService
    release: str

    def members(
        self, name: str, canonical: str, codes: Iterable[tuple[str, str]]
    ) -> set[tuple[str, str]]:
        """Return those of `codes`, each a system and a code, that are in a value set.

        Raises
        ------
        SearchError
            The value set is not here, rests on what is not here, or cannot be decided.
        """
        try:
            return self._members(name, canonical, codes)
        except TxError as error:
            text = "; ".join(one.text for one in error.issues)
            raise SearchError(
                name,
                f"the value set '{canonical[:300]}' cannot be used: {text}",
                "a value set that ValueSet/$expand or ValueSet/$validate-code answers",
                "Correct the address, or the expression in it.",
                issue="not-supported" if error.status >= 500 else "invalid",
            ) from None

    def _members(
        self, name: str, canonical: str, codes: Iterable[tuple[str, str]]
    ) -> set[tuple[str, str]]:
        context = self.service.context(dict(_NOTHING), self.release)
        # A version behind a bar; an expression constraint has bars of its own.
        url, version = (canonical, None) if "?fhir_vs" in canonical else split_canonical(canonical)
        value_set = context.value_set(url, version)
        if value_set is None:
            raise SearchError(
                name,
                f"the value set '{canonical[:300]}' is not here",
                "http://snomed.info/sct?fhir_vs=ecl/…, =isa/…, =refset/…, or a ValueSet by its url",
                "GET ValueSet lists those that are here.",
                issue="not-found",
            )
        systems = Systems(context, supplements_named_by(value_set))
        options = ValidateOptions.of(Parameters.of(dict(_NOTHING)))
        checker = ValueSetChecker(value_set, systems, ValueSetTrail(context), options, Inquiry())
        checker.prepare()
        found = set()
        for system, code in codes:
            verdict = checker.outcome(Trial("", code, system, None)).verdict
            if verdict is None:
                raise SearchError(
                    name,
                    f"whether '{system}|{code}' is in '{canonical[:300]}' cannot be told",
                    "a value set of code systems that are here",
                    "Store the code systems that it rests on.",
                    issue="not-supported",
                )
            if verdict:
                found.add((system, code))
        return found
