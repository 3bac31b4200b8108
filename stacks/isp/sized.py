"""What an ISP would be given, and why, before anything of it is made.

Decides how a question for a size looks, and which of rules, cap and override counted. What a size comes to is decided
by `sizing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError

from providers.errors import ConfigurationError
from stacks.fields import listed
from stacks.isp.caps import caps_of
from stacks.isp.manifest import ISP_SHAPE, CustomerCount
from stacks.isp.settings import Feature, IspSettings, PlanType, Resources
from stacks.isp.sizing import CAPPED, Caps, ResourceRequirements, need_of, size_of, size_problems
from stacks.problems import FieldProblem, InputError, problems_of, shown
from stacks.shape import Model, TemplateId, Version
from stacks.templates import TemplateStore

_UNITS = {"cpu_cores": "cores", "memory_gb": "GB", "storage_gb": "GB", "max_connections": "connections"}
_IN_MANIFEST = "customSettings.resources"
_HERE = "customResources"


class SizeRequestError(InputError):
    """A question for a size that cannot be answered."""

    noun = "request"


class SizeRequest(Model):
    """What a size is asked for. `customResources` are values that replace what is computed."""

    customer_count: CustomerCount
    plan_type: PlanType
    features: Annotated[tuple[Feature, ...], BeforeValidator(listed)] = ()
    custom_resources: Resources = Resources()
    template_id: TemplateId = "default-isp"
    template_version: Version | None = None


class Why(StrEnum):
    """What an amount is by."""

    RULES = "rules"
    CAP = "cap"
    GIVEN = "given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """One amount: what the rules come to, and what is given. `cap` is the most there may be, by `variable`."""

    key: str
    unit: str
    computed: float
    given: float
    why: Why
    cap: float | None = None
    variable: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "unit": self.unit,
            "computed": self.computed,
            "given": self.given,
            "why": self.why.value,
            "cap": self.cap,
            "variable": self.variable,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """A size with each of its amounts explained, and the template (id, version) whose rules it is by."""

    size: ResourceRequirements
    amounts: tuple[Amount, ...]
    template: tuple[str, str]


def sized(asked: object, store: TemplateStore | None = None) -> Sized:
    """The size of what is asked for, a mapping as SizeRequest has it. Raises SizeRequestError, TemplateError."""
    request = _request(asked)
    template = (store or TemplateStore(shape=ISP_SHAPE)).get(request.template_id, request.template_version)
    settings = IspSettings.model_validate(dict(template.settings))
    caps = _caps()
    own = {name: value for name, value in request.custom_resources if value is not None}
    overrides = settings.resources.model_copy(update=own)
    problems = size_problems(request.plan_type, rules=settings.sizing, overrides=overrides, caps=caps)
    if problems:
        raise SizeRequestError("request", [_here(one) for one in problems])
    about = (request.customer_count, request.plan_type, request.features)
    need = need_of(*about, settings.sizing)
    size = size_of(*about, rules=settings.sizing, overrides=overrides, caps=caps)
    amounts = tuple(_amount(name, need, size, overrides, caps) for name in Resources.model_fields)
    return Sized(size=size, amounts=amounts, template=(template.id, template.version))


def _request(asked: object) -> SizeRequest:
    if not isinstance(asked, Mapping):
        valid = "a mapping of keys to values"
        raise SizeRequestError("request", [FieldProblem(field="request", given=shown(asked), valid=valid)])
    try:
        return SizeRequest.model_validate(dict(asked))
    except ValidationError as error:
        raise SizeRequestError("request", problems_of(error, SizeRequest)) from None


def _caps() -> Caps:
    try:
        return caps_of()
    except ConfigurationError as error:
        problem = FieldProblem(field="environment", given=str(error), valid="caps that are numbers above 0")
        raise SizeRequestError("environment", [problem]) from None


def _here(problem: FieldProblem) -> FieldProblem:
    """A problem of a manifest in the words of the question."""
    return FieldProblem(
        field=problem.field.replace(_IN_MANIFEST, _HERE),
        given=problem.given,
        valid=problem.valid.replace(_IN_MANIFEST, _HERE),
        suggestion=problem.suggestion,
    )


def _amount(
    name: str, need: ResourceRequirements, size: ResourceRequirements, overrides: Resources, caps: Caps
) -> Amount:
    variable = next((variable for one, _, variable in CAPPED if one == name), None)
    cap = getattr(caps, name, None)
    computed, given = getattr(need, name), getattr(size, name)
    why = Why.GIVEN if getattr(overrides, name) is not None else Why.CAP if given < computed else Why.RULES
    return Amount(
        key=str(Resources.model_fields[name].alias),
        unit=_UNITS[name],
        computed=computed,
        given=given,
        why=why,
        cap=cap,
        variable=variable if cap is not None else None,
    )
