"""What a template makes with the parameters that are chosen: its conditions, decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perminute_local.stack import Template

Parameters = Mapping[str, str]

_NOTHING = {"Ref": "AWS::NoValue"}


class StackError(Exception):
    """The template could not be read or its resources could not be made."""


def parameters_of(template: Template, chosen: Parameters) -> dict[str, str]:
    """Return the value of each parameter: the chosen one, or else its default."""
    known = template["Parameters"]
    unknown = set(chosen) - set(known)
    if unknown:
        msg = f"the template has no parameter {', '.join(sorted(unknown))}"
        raise StackError(msg)
    return {name: str(chosen.get(name, said["Default"])) for name, said in known.items()}


def present(template: Template, parameters: Parameters) -> Template:
    """Return the template without the resources whose condition does not hold."""
    kept = {
        name: resource
        for name, resource in template["Resources"].items()
        if "Condition" not in resource or holds(template, resource["Condition"], parameters)
    }
    return {**template, "Resources": kept}


def decided(template: Template, parameters: Parameters) -> Template:
    """Return the template as it is with these parameters: what is there, and each `!If` chosen."""
    there = present(template, parameters)
    outputs = {
        name: output
        for name, output in template["Outputs"].items()
        if "Condition" not in output or holds(template, output["Condition"], parameters)
    }
    chosen: Template = _choose({**there, "Outputs": outputs}, template, parameters)
    return {**chosen, "Conditions": template["Conditions"]}


def _choose(part: Any, template: Template, parameters: Parameters) -> Any:  # noqa: ANN401 - whatever YAML can say
    match part:
        case {"Fn::If": [condition, one, other]}:
            taken = one if holds(template, condition, parameters) else other
            return _choose(taken, template, parameters)
        case dict():
            chosen = {key: _choose(value, template, parameters) for key, value in part.items()}
            return {key: value for key, value in chosen.items() if value != _NOTHING}
        case list():
            chosen_ones = [_choose(value, template, parameters) for value in part]
            return [value for value in chosen_ones if value != _NOTHING]
        case _:
            return part


def holds(template: Template, condition: str, parameters: Parameters) -> bool:
    """Decide a condition of the template, by its name."""
    return _decide(template["Conditions"][condition], template, parameters)


def value_of(said: object, parameters: Parameters) -> str:
    """Return a value, or the value of the parameter that it refers to.

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
