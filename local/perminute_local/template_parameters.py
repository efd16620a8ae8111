"""What of the template a stage has: its conditions, decided by the stage's parameters."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from perminute_local.packaged import TEMPLATE
from perminute_local.stack import StackError, Template

if TYPE_CHECKING:
    from collections.abc import Mapping

    Parameters = Mapping[str, str]

SAM_CONFIG = TEMPLATE.parent / "samconfig.toml"


def stage_parameters(template: Template, stage: str) -> dict[str, str]:
    """Returns the value of each parameter of a stage."""
    return parameters_of(template, chosen_for(stage))


def chosen_for(stage: str) -> dict[str, str]:
    """Returns the parameters that `samconfig.toml` chooses for a stage."""
    config = tomllib.loads(SAM_CONFIG.read_text(encoding="utf-8"))
    overrides: str = config[stage]["deploy"]["parameters"]["parameter_overrides"]
    return dict(pair.split("=", 1) for pair in overrides.split())


def parameters_of(template: Template, chosen: Parameters) -> dict[str, str]:
    """Returns the value of each parameter: the chosen one, or else its default."""
    known = template["Parameters"]
    unknown = set(chosen) - set(known)
    if unknown:
        msg = f"the template has no parameter {', '.join(sorted(unknown))}"
        raise StackError(msg)
    return {name: str(chosen.get(name, said["Default"])) for name, said in known.items()}


def present(template: Template, parameters: Parameters) -> Template:
    """Returns the template without the resources whose condition does not hold."""
    kept = {
        name: resource
        for name, resource in template["Resources"].items()
        if "Condition" not in resource or holds(template, resource["Condition"], parameters)
    }
    return {**template, "Resources": kept}


def holds(template: Template, condition: str, parameters: Parameters) -> bool:
    """Decide a condition of the template, by its name."""
    return _decide(template["Conditions"][condition], template, parameters)


def value_of(said: object, parameters: Parameters) -> str:
    """Returns what stands there, or the value of the parameter that it refers to.

    Of a list, which is text with commas here, it may choose one.
    """
    match said:
        case {"Ref": name}:
            return parameters[name]
        case {"Fn::Select": [number, {"Ref": name}]}:
            return parameters[name].split(",")[int(number)]
        case _:
            return str(said)


def _decide(expression: Any, template: Template, parameters: Parameters) -> bool:  # noqa: ANN401 - whatever YAML can say
    match expression:
        case {"Fn::Equals": [one, other]}:
            return value_of(one, parameters) == value_of(other, parameters)
        case {"Fn::Not": [negated]}:
            return not _decide(negated, template, parameters)
        case {"Fn::And": parts}:
            return all(_decide(part, template, parameters) for part in parts)
        case {"Fn::Or": parts}:
            return any(_decide(part, template, parameters) for part in parts)
        case {"Condition": name}:
            return holds(template, name, parameters)
        case _:
            msg = f"this condition cannot be decided here: {expression}"
            raise StackError(msg)
