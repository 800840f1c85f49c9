"""A search parameter, its modifier and its value → a condition on resources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

from api.dates import date_search
from api.errors import SearchError
from api.indexing import PARAMETERS, Parameter, parameters_of
from api.indexing.systems import is_snomed
from api.indexing.values import DICOM_UID, target_of
from api.records import Criterion
from api.search.parsing import (
    alternatives,
    bad_value,
    canonicals,
    check_text,
    phrases,
    plain,
    quantity,
    split,
    token,
)
from api.search.sites import Sites
from api.security.actor import current_actor
from api.store import ResourceStore
from api.store.conditions import (
    AllOf,
    AnyOf,
    Coded,
    Comparison,
    Condition,
    During,
    Identified,
    LinkedFrom,
    Links,
    Measured,
    Named,
    Not,
    Present,
    Updated,
    Worded,
)
from terminology.concept import SNOMED

_DATE: Final = "eq, ne, ge, gt, le, lt, sa, eb or ap and a date, such as ge2026-11-20T10:00:00Z"
_MAX_DEPTH: Final = 5
_TABLES: Final[Mapping[str, Literal["token", "date", "text", "amount"]]] = {
    "token": "token",
    "reference": "token",
    "uri": "token",
    "date": "date",
    "string": "text",
    "quantity": "amount",
}
_HAS: Final = "_has:"


@dataclass(frozen=True, slots=True)
class Criteria:
    """Reads the parameters of one request.

    Attributes
    ----------
    kinds
        The types of resources that are searched; several at the system level.
    base
        The address of the service as the client knows it, "" where none is known.
    now
        The time in microseconds since 1970.
    """

    store: ResourceStore
    sites: Sites
    kinds: tuple[str, ...]
    release: str
    base: str
    now: int

    def condition(self, name: str, value: str) -> Condition | None:
        """Return the condition of a parameter; `None` when there is no such parameter.

        Raises
        ------
        SearchError
            The value, or the modifier, is not one that the parameter takes.
        """
        check_text("parameter", name)
        check_text(name[:200], value)
        return self._condition(self.kinds, name, name, value, 0)

    def parameter(self, name: str) -> Parameter | None:
        """Return a parameter by the name that a client knows it by."""
        return self._known(self.kinds).get(name)

    def _known(self, kinds: Sequence[str]) -> Mapping[str, Parameter]:
        if len(kinds) == 1:
            return parameters_of(kinds[0], self.release)
        # FHIR R4, 3.1.1.1: several types have only the parameters in common that all have.
        return {
            name: one
            for name, one in parameters_of(kinds[0], self.release).items()
            if name.startswith("_")
        }

    def _condition(
        self, kinds: Sequence[str], whole: str, name: str, value: str, depth: int
    ) -> Condition | None:
        if depth > _MAX_DEPTH:
            raise SearchError(
                whole,
                "it goes over too many resources",
                f"at most {_MAX_DEPTH}",
                "Search in steps.",
            )
        if name.startswith(_HAS):
            return self._reverse(kinds, whole, name, value, depth)
        if name in {"_text", "_content"}:
            column: Literal["narrative", "content"] = "narrative" if name == "_text" else "content"
            return Worded(column, phrases(whole, value))
        head, dot, rest = name.partition(".")
        if dot:
            return self._chain(kinds, whole, head, rest, value, depth)
        base, _, modifier = name.partition(":")
        parameter = self._known(kinds).get(base)
        if parameter is None:
            return None
        return self._asked(kinds, parameter, whole, modifier, value)

    # -- links --------------------------------------------------------------------------------

    def _chain(
        self, kinds: Sequence[str], whole: str, head: str, rest: str, value: str, depth: int
    ) -> Condition | None:
        """Return the condition of ``reference.parameter`` or ``reference:Type.parameter``."""
        base, _, kind = head.partition(":")
        parameter = self._known(kinds).get(base)
        if parameter is None:
            return None
        if parameter.type != "reference":
            raise SearchError(
                whole,
                f"'{base}' is no reference",
                "a parameter of type reference before the dot",
                "See metadata for the types of parameters.",
                issue="not-supported",
            )
        targets = [one for one in parameter.targets if one in PARAMETERS]
        if kind:
            targets = [kind] if kind in targets else []
        last = rest.partition(":")[0].partition(".")[0]
        if not rest.startswith(_HAS):
            targets = [one for one in targets if last in parameters_of(one, self.release)]
        if not targets:
            raise SearchError(
                whole,
                f"nothing that '{head}' points to here is searched by '{last}'",
                "one of " + ", ".join(one for one in parameter.targets if one in PARAMETERS),
                "Name the type: " + f"{base}:Type.{last}.",
                issue="not-supported",
            )
        found: list[Condition] = []
        for target in targets:
            # What a client may not search is not searched through either.
            current_actor().require("s", target, whole[:200])
            inner = self._condition((target,), whole, rest, value, depth + 1)
            if inner is not None:
                found.append(Links(parameter.name, target, inner))
        if rest == "identifier":
            # What is known by its identifier only need not be here.
            values = tuple(_coded(whole, one) for one in alternatives(whole, value))
            found.append(Coded(f"{parameter.name}:identifier", values))
        return AnyOf(tuple(found))

    def _reverse(
        self, kinds: Sequence[str], whole: str, name: str, value: str, depth: int
    ) -> Condition:
        """Return the condition of ``_has:Type:reference:parameter`` (FHIR R4, 3.1.1.5.4)."""
        parts = name.split(":", 3)
        kind = parts[1] if len(parts) == 4 else ""
        if kind not in PARAMETERS:
            raise SearchError(
                whole,
                f"'{name[:200]}' does not say what refers to the resource",
                "_has:Type:reference:parameter, such as _has:Observation:derived-from:code",
                "Types are " + ", ".join(PARAMETERS) + ".",
            )
        current_actor().require("s", kind, f"_has:{kind}")
        parameter = parameters_of(kind, self.release).get(parts[2])
        if parameter is None or parameter.type != "reference":
            raise SearchError(
                whole,
                f"'{parts[2][:100]}' is no reference of {kind}",
                "a parameter of type reference",
                "See metadata for the types of parameters.",
            )
        if not set(kinds) & set(parameter.targets):
            raise SearchError(
                whole,
                f"'{parts[2]}' of {kind} does not refer to {', '.join(kinds)}",
                "one that does",
                "It refers to " + ", ".join(parameter.targets) + ".",
            )
        inner = self._condition((kind,), whole, parts[3], value, depth + 1)
        if inner is None:
            raise SearchError(
                whole,
                f"{kind} is not searched by '{parts[3][:100]}'",
                "a parameter of it",
                "See metadata.",
                issue="not-supported",
            )
        return LinkedFrom(kind, parameter.name, inner)

    # -- values -------------------------------------------------------------------------------

    def _asked(
        self, kinds: Sequence[str], parameter: Parameter, name: str, modifier: str, value: str
    ) -> Condition:
        allowed = parameter.modifiers
        types = parameter.targets if parameter.type == "reference" else ()
        if modifier and modifier not in allowed and modifier not in types:
            raise SearchError(
                name,
                f"the modifier ':{modifier[:100]}' is not supported here",
                " or ".join(f":{one}" for one in allowed) or "none",
                "See metadata for what each parameter takes.",
                issue="not-supported",
            )
        if modifier == "missing":
            if value not in {"true", "false"}:
                raise bad_value(name, value, "true or false")
            present = self._present(kinds, parameter)
            return Not(present) if value == "true" else present
        if modifier in {"not", "not-in"}:
            positive = {"not": "", "not-in": "in"}[modifier]
            return Not(self._asked(kinds, parameter, name, positive, value))
        if parameter.name == "_id" and not value.strip():
            raise bad_value(name, value, "a logical id")
        if parameter.union:
            members = parameters_of(kinds[0])
            return AnyOf(
                tuple(
                    self._asked(kinds, members[one], name, modifier, value)
                    for one in parameter.union
                )
            )
        if modifier == "in":
            return self._in(kinds, parameter, name, canonicals(name, value))
        compared = modifier == "text" or parameter.type not in {"token", "reference", "uri"}
        return AnyOf(
            tuple(
                self._value(kinds, parameter, name, modifier, one)
                for one in alternatives(name, value, compared=compared)
            )
        )

    def _present(self, kinds: Sequence[str], parameter: Parameter) -> Condition:
        if parameter.union:
            members = parameters_of(kinds[0])
            return AnyOf(tuple(self._present(kinds, members[one]) for one in parameter.union))
        params: tuple[str, ...] = (parameter.name,)
        if parameter.type == "reference":
            params = (parameter.name, f"{parameter.name}:identifier")
        return Present(params, _TABLES[parameter.type])

    def _value(
        self, kinds: Sequence[str], parameter: Parameter, name: str, modifier: str, value: str
    ) -> Condition:
        if parameter.name == "_id":
            if len(kinds) > 1 and "/" in value:
                raise bad_value(name, value, "a logical id")
            return Identified((plain(value),))
        match parameter.type:
            case "token":
                return self._token(kinds, parameter, name, modifier, value)
            case "reference":
                return self._reference(parameter, name, modifier, plain(value))
            case "date":
                return self._date(parameter, name, value)
            case "string":
                how = cast("Literal['starts', 'contains', 'exact']", modifier or "starts")
                return Named(parameter.name, how, plain(value))
            case "quantity":
                return self._quantity(parameter.name, name, value)
            case "uri":
                return self._uri(kinds, parameter, modifier, plain(value))
            case "composite":
                return self._composite(kinds, parameter, name, value)

    def _token(
        self, kinds: Sequence[str], parameter: Parameter, name: str, modifier: str, value: str
    ) -> Condition:
        if modifier == "text":
            text = Named(f"{parameter.name}:text", "contains", plain(value))
            if not parameter.body_site:
                return text
            in_use = self._in_use(kinds, parameter)
            return AnyOf((_criterion(in_use, self.sites.named(name, value, [*in_use])), text))
        if modifier == "of-type":
            parts = [plain(one) for one in split(value, "|")]
            if len(parts) != 3 or not all(parts):
                raise bad_value(name, value, "system|code|value")
            return Coded(f"{parameter.name}:of-type", ((f"{parts[0]}|{parts[1]}", parts[2]),))
        system, code = token(name, value)
        of_snomed = parameter.body_site and (not system or is_snomed(system))
        if modifier in {"below", "above"} or of_snomed:
            in_use = self._in_use(kinds, parameter)
            return _criterion(in_use, self.sites.found(name, modifier, value, [*in_use]))
        return Coded(parameter.name, tuple(self._tokens(parameter, system, code)))

    def _in_use(self, kinds: Sequence[str], parameter: Parameter) -> Mapping[str, int]:
        return self.store.codes_in_use(kinds[0], parameter.name, SNOMED)

    def _tokens(
        self, parameter: Parameter, system: str | None, code: str | None
    ) -> Iterable[tuple[str | None, str | None]]:
        if parameter.uid and code is not None and system in (None, "", DICOM_UID):
            yield DICOM_UID, f"urn:oid:{code.removeprefix('urn:oid:')}"
            return
        if system and is_snomed(system):
            system = SNOMED
        yield system, code
        if system == "" and parameter.system:
            # The code has no system where it stands; that of its binding is implied.
            yield parameter.system, code

    def _in(
        self, kinds: Sequence[str], parameter: Parameter, name: str, addresses: Iterable[str]
    ) -> Condition:
        in_use: dict[tuple[str, str], int] = {}
        for kind in kinds:
            in_use.update(self.store.values_in_use(kind, parameter.name))
        found: set[tuple[str, str]] = set()
        for address in addresses:
            found |= self.sites.members(name, address, in_use)
        return Criterion(tuple(sorted(in_use[one] for one in found)))

    def _reference(self, parameter: Parameter, name: str, modifier: str, value: str) -> Condition:
        if modifier == "identifier":
            return Coded(f"{parameter.name}:identifier", (_coded(name, value),))
        target = target_of(value)
        if modifier and target.type not in {"", modifier}:
            raise bad_value(name, value, f"a reference to {modifier}")
        if target.type and not target.base:
            return Coded(parameter.name, tuple(self._local(target.type, target.id)))
        if not target.type and "/" not in value and ":" not in value:
            if not modifier and not parameter.only:
                return Coded(parameter.name, ((None, value),))
            return Coded(
                parameter.name, tuple(self._local(modifier or parameter.targets[0], value))
            )
        if target.base and target.base in self._bases():
            return Coded(parameter.name, tuple(self._local(target.type, target.id)))
        return Coded(parameter.name, (target.token,))

    def _local(self, kind: str, resource_id: str) -> Iterable[tuple[str | None, str | None]]:
        yield kind, resource_id
        for base in self._bases():
            yield "", f"{base}/{kind}/{resource_id}"

    def _bases(self) -> tuple[str, ...]:
        if not self.base:
            return ()
        root = self.base.rpartition("/")[0]
        return (f"{root}/r4", f"{root}/r5")

    def _date(self, parameter: Parameter, name: str, value: str) -> Condition:
        try:
            asked = date_search(plain(value), self.now)
        except ValueError:
            raise bad_value(name, value, _DATE) from None
        comparison = cast("Comparison", asked.prefix)
        if parameter.name == "_lastUpdated":
            return Updated(comparison, *asked.period)
        return During(parameter.name, comparison, *asked.period)

    def _quantity(self, param: str, name: str, value: str) -> Condition:
        parts = [plain(one).strip() for one in split(value, "|")]
        if len(parts) not in {1, 3}:
            raise bad_value(name, value, "number, number|system|code or number||code")
        number = quantity(name, parts[0])
        system, code = (parts[1] or None, parts[2] or None) if len(parts) == 3 else (None, None)
        comparison = cast("Comparison", number.comparison)
        return Measured(param, comparison, number.low, number.value, number.high, system, code)

    def _uri(
        self, kinds: Sequence[str], parameter: Parameter, modifier: str, value: str
    ) -> Condition:
        if not modifier and parameter.name != "_profile":
            return Coded(parameter.name, (("", value),))

        def means(one: str) -> bool:
            if modifier == "below":
                return one == value or one.startswith(f"{value.rstrip('/')}/")
            if modifier == "above":
                return value == one or value.startswith(f"{one.rstrip('/')}/")
            # Without a version, any version of a profile is meant.
            return one in {value} or one.partition("|")[0] == value

        found = [
            key
            for kind in kinds
            for (_, one), key in self.store.values_in_use(kind, parameter.name).items()
            if means(one)
        ]
        return Criterion(tuple(sorted(found)))

    def _composite(
        self, kinds: Sequence[str], parameter: Parameter, name: str, value: str
    ) -> Condition:
        halves = split(value, "$")
        if len(halves) != 2 or not all(halves):
            raise bad_value(name, value, "two values with $ between them")
        first, second = parameter.parts
        if not parameter.paths[0]:
            known = parameters_of(kinds[0])
            return AllOf(
                tuple(
                    self._value(kinds, known[part.name], name, "", half)
                    for part, half in zip((first, second), halves, strict=True)
                )
            )
        wanted = _coded(name, halves[0])
        if second.type == "quantity":
            code_of = parameter.name.replace("-value-quantity", "")
            codes = self.store.values_in_use(kinds[0], code_of)
            return AnyOf(
                tuple(
                    self._quantity(f"{parameter.name}${system}|{code}", name, halves[1])
                    for system, code in codes
                    if _means(wanted, system, code)
                )
            )
        other = _coded(name, halves[1])
        found = [
            key
            for (named, valued), key in self.store.values_in_use(kinds[0], parameter.name).items()
            if _means(wanted, *_parted(named)) and _means(other, *_parted(valued))
        ]
        return Criterion(tuple(sorted(found)))


def _coded(name: str, value: str) -> tuple[str | None, str | None]:
    system, code = token(name, value)
    return (SNOMED if system and is_snomed(system) else system), code


def _means(wanted: tuple[str | None, str | None], system: str, code: str) -> bool:
    return wanted[0] in {None, system} and wanted[1] in {None, code}


def _parted(value: str) -> tuple[str, str]:
    system, _, code = value.partition("|")
    return system, code


def _criterion(in_use: Mapping[str, int], found: Iterable[str]) -> Criterion:
    return Criterion(tuple(sorted({in_use[one] for one in found})))
