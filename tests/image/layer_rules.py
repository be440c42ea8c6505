"""The rules by which rpi-image-gen reads a layer's header and a configuration, in words of our own.

Of its commit 262d4df (August 2026): what fields there are, and what is asked of each, in
site/metadata_parser.py, site/env_types.py, site/validators.py and site/conditions.py. It is in no archive
of packages, so a machine without its checkout has these; one that has it asks rpi-image-gen itself
(test_layers.py). Stricter than it is in three things: a name or a key that comes twice, which its own
parsers take without a word; a policy and a `Required` that are none of its words.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

LAYER_FIELDS = {
    *("Name", "Desc", "Category", "Version", "Requires", "Provides", "RequiresProvider"),
    *("AfterProvider", "Conflicts", "Type", "Generator", "Sets"),
}
VARIABLE_FIELDS = {"Desc", "Required", "Valid", "Set", "Anchor", "Conflicts", "Triggers"}
TRAIT_FIELDS = {"Desc", "Valid", "Requires", "Triggers", "Include"}
SINGLE = {
    *("X-Env-VarPrefix", "X-Env-VarRequires", "X-Env-VarRequires-Valid"),
    *("X-Env-VarOptional", "X-Env-VarOptional-Valid"),
}
POLICIES = {
    *("force", "immediate", "true", "1", "yes", "y"),
    *("lazy", "skip", "false", "0", "no", "n"),
}
NEVER_SET = {"skip", "false", "0", "no", "n"}
YES_OR_NO = {"true", "1", "yes", "y", "false", "0", "no", "n"}
PATHS = {"file", "file-nzero", "dir"}
"""Looked at where an image is built: what is named may be made only there."""
WORDS = {"string", "string-or-empty", "string-or-unset", "bool", "int", "size", "capacity", *PATHS}


class Wrong(Exception):
    """rpi-image-gen would not take it; the sentence says why."""


# -------------------- the header


def metadata(text: str) -> dict[str, str]:
    """The fields of the header: DEB822 in comments; a line that begins with a space goes on."""
    header = re.fullmatch(r"# METABEGIN\n(.*?)# METAEND\n---\n.*", text, re.DOTALL)
    if not header:
        raise Wrong("a layer begins with its header, and its YAML with a line of its own")
    fields: dict[str, str] = {}
    name = ""
    for line in header[1].splitlines():
        if not line.startswith("#"):
            raise Wrong(f"no comment: {line}")
        line = line.removeprefix("#").removeprefix(" ")
        if line.startswith((" ", "\t")) and name:
            fields[name] += "\n" + line.strip()
        elif line.strip():
            name, colon, value = line.partition(":")
            if not (colon and re.fullmatch(r"X-Env-[A-Za-z0-9_-]+", name)):
                raise Wrong(f"no field: {line}")
            if name in fields:
                raise Wrong(f"twice: {name}")
            fields[name] = value.strip()
    return fields


def faults(fields: Mapping[str, str]) -> list[str]:
    """What rpi-image-gen would say of a header, and of each value in it."""
    variables = {
        name.removeprefix("X-Env-Var-"): value
        for name, value in fields.items()
        if re.fullmatch(r"X-Env-Var-\w+", name)
    }
    checks = [_fields(fields, set(variables)), _layer(fields)]
    checks += [_variable(name, value, fields) for name, value in variables.items()]
    checks.append(_needed(fields))
    found = [fault for check in checks for fault in check]
    is_layer = any(name.startswith("X-Env-Layer-") for name in fields)
    if not is_layer and "X-Env-VarPrefix" in fields:
        found.append("a prefix without a layer")
    if is_layer and variables and not fields.get("X-Env-VarPrefix"):
        found.append("variables without a prefix")
    return found


def _fields(fields: Mapping[str, str], variables: set[str]) -> Iterator[str]:
    traits = {
        found[1] for name in fields if (found := re.fullmatch(r"X-Env-Trait-(.+)-Desc", name))
    }
    for name in fields:
        if kind := re.fullmatch(r"X-Env-Layer-(.+)", name):
            known = kind[1] in LAYER_FIELDS
        elif kind := re.fullmatch(r"X-Env-Var-(\w+)(?:-(.+))?", name):
            known = kind[1] in variables and (kind[2] is None or kind[2] in VARIABLE_FIELDS)
        elif name.startswith("X-Env-Trait-"):
            rest = name.removeprefix("X-Env-Trait-")
            local, _, last = rest.rpartition("-")
            known = rest in traits or (last in TRAIT_FIELDS and local in traits)
        else:
            known = name in SINGLE
        if not known:
            yield f"unsupported: {name}"


def _layer(fields: Mapping[str, str]) -> Iterator[str]:
    said = {
        name.removeprefix("X-Env-Layer-"): value
        for name, value in fields.items()
        if name.startswith("X-Env-Layer-")
    }
    if not said:
        return
    if not re.fullmatch(r"[A-Za-z0-9_-]+", said.get("Name", "")):
        yield "no name"
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", said.get("Version", "")):
        yield "no version: major.minor.patch"
    kind = said.get("Type", "static").lower()
    if kind not in ("static", "dynamic") or (kind == "dynamic" and not said.get("Generator")):
        yield f"no type, or one that nothing generates: {kind}"
    for field in ("Requires", "Provides", "RequiresProvider", "AfterProvider", "Conflicts"):
        for token in listed(said.get(field, "")):
            yield from _told(_dependency, field, token)
    for token in said.get("Sets", "").split():
        if not re.fullmatch(r"(?!IGconf_)[^=]+=.*", token):
            yield f"Sets: neither NAME=VALUE nor a name of its own: {token}"


def _dependency(field: str, token: str) -> None:
    name, when, condition = token.partition(" when=")
    if when and field == "Requires":
        check_condition(condition.strip())
    elif when:
        raise Wrong(f"{field}: only what is required depends on a condition: {token}")
    if not re.fullmatch(r"[A-Za-z0-9_:-]+", re.sub(r"\$\{\w+\}", "x", name.strip())):
        raise Wrong(f"{field}: not a name, or no comma: {token}")
    if field == "AfterProvider" and ":" in name:
        raise Wrong(f"{field}: a trait comes before nothing: {token}")


def _variable(name: str, value: str, fields: Mapping[str, str]) -> Iterator[str]:
    def its(field: str, default: str = "") -> str:
        return fields.get(f"X-Env-Var-{name}-{field}", default)

    if (policy := its("Set", "immediate").lower()) not in POLICIES:
        yield f"{name}: no policy: {policy}"
    if its("Required", "n").lower() not in YES_OR_NO:
        yield f"{name}: neither y nor n: {its('Required')}"
    if (anchor := its("Anchor")) and not anchor.startswith("@"):
        yield f"{name}: an anchor begins with @: {anchor}"
    if rule := its("Valid"):
        yield from _told(check_rule, rule)
        if policy not in NEVER_SET and not _open(value):
            yield from _told(check_value, rule, value)
    for line in filter(None, its("Conflicts").splitlines()):
        yield from _told(check_condition, line)
    for line in filter(None, its("Triggers").splitlines()):
        yield from _told(check_trigger, line)


def _needed(fields: Mapping[str, str]) -> Iterator[str]:
    for field in ("X-Env-VarRequires", "X-Env-VarOptional"):
        names, rules = listed(fields.get(field, "")), listed(fields.get(f"{field}-Valid", ""))
        for name in names:
            if not re.fullmatch(r"[A-Za-z_]\w*", name):
                yield f"{field}: no variable's name: {name}"
        if len(rules) > len(names):
            yield f"{field}: more rules than variables"
        for rule in rules:
            yield from _told(check_rule, rule)


def _told(check: Any, *values: str) -> Iterator[str]:
    try:
        check(*values)
    except Wrong as wrong:
        yield str(wrong)


def _open(value: str) -> bool:
    """Whether it is known only where an image is built."""
    return "$" in value


def listed(value: str) -> list[str]:
    """What stands between commas, on however many lines."""
    return [word for one in value.replace("\n", " ").split(",") if (word := one.strip())]


# -------------------- what a value may be


def check_rule(rule: str) -> None:
    """Raise Wrong where it is no rule for a value (`X-Env-Var-*-Valid`)."""
    kind, colon, rest = rule.strip().partition(":")
    if rule.strip() in WORDS or (colon and kind in ("keywords", "list")):
        return
    if kind == "int" and re.fullmatch(r"\+?\d+-\+?\d+", rest):
        return
    if colon and kind == "regex":
        try:
            re.compile(rest)
        except re.error as error:
            raise Wrong(f"no expression: {rest}: {error}") from error
        return
    if "," not in rule or kind == "int":
        raise Wrong(f"no rule: {rule}")


def check_value(rule: str, value: str) -> None:
    """Raise Wrong where the rule does not take the value; a path is not looked for."""
    check_rule(rule)
    if not _takes(rule.strip(), value):
        raise Wrong(f"{value!r} is not {rule}")


def _takes(rule: str, value: str) -> bool:
    kind, _, rest = rule.partition(":")
    if rule in ("string", "string-or-unset", *PATHS):
        return value != ""
    if rule == "string-or-empty":
        return True
    if rule == "bool":
        return value.lower() in YES_OR_NO
    if kind == "int":
        low, high = rest.split("-") if rest else (None, None)
        if not re.fullmatch(r"[+-]?\d+", value.strip()):
            return False
        return low is None or high is None or int(low) <= int(value) <= int(high)
    if rule == "size":
        return bool(re.fullmatch(r"\d+[kKmMgGsS]?|[1-9]\d*%", value))
    if rule == "capacity":
        return bool(re.fullmatch(r"\d+([KMGT](iB)?)?", value)) and _is_aligned(value)
    if kind == "regex":
        return bool(re.fullmatch(rest, value))
    words = listed(rest if kind in ("keywords", "list") else rule)
    if kind == "list":
        given = [one.strip() for one in value.split(",")]
        return set(given) <= set(words) and len(set(given)) == len(given)
    return value in words


def _is_aligned(value: str) -> bool:
    if not value.isdigit():
        return True
    size = int(value)
    return size >= 512 and (1024 % size if size <= 1024 else size % 1024) == 0


def check_condition(text: str) -> None:
    """Raise Wrong where it is none: comparisons of variables with texts, and whether there is a trait."""
    try:
        body = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise Wrong(f"no condition: {text}") from error
    if not isinstance(body, ast.Compare | ast.BoolOp | ast.Call | ast.UnaryOp):
        raise Wrong(f"no condition: {text}")
    _check_node(body, text)


def _check_node(node: ast.expr, text: str) -> None:
    match node:
        case ast.Compare(
            ops=[ast.Eq() | ast.NotEq() | ast.In() | ast.NotIn()], comparators=[other]
        ):
            _check_node(node.left, text)
            _check_node(other, text)
        case ast.BoolOp():
            for value in node.values:
                _check_node(value, text)
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            for element in elements:
                _check_node(element, text)
        case ast.UnaryOp(op=ast.Not(), operand=ast.Call() as call):
            _check_node(call, text)
        case ast.Call(func=ast.Name(id="has"), args=[ast.Constant(value=str())], keywords=[]):
            pass
        case ast.Name() | ast.Constant(value=str()):
            pass
        case _:
            raise Wrong(f"a condition cannot have {type(node).__name__}: {text}")


def check_trigger(line: str) -> None:
    """Raise Wrong where it is none: `[when=CONDITION] set NAME=VALUE [policy=..]`, one a line."""
    action = line.strip()
    if action.startswith("when="):
        condition, found, action = action.removeprefix("when=").rpartition(" set ")
        if not (found and condition.strip()):
            raise Wrong(f"no condition and action: {line}")
        check_condition(condition.strip())
        action = f"set {action}"
    try:
        verb, *words = shlex.split(action)
    except ValueError as error:
        raise Wrong(f"no words: {line}: {error}") from error
    if verb != "set" or not words or not re.fullmatch(r"[A-Za-z_]\w*\s*=.*", words[0]):
        raise Wrong(f"no action: {line}")
    for word in words[1:]:
        if word.startswith("policy=") and word.removeprefix("policy=").lower() not in POLICIES:
            raise Wrong(f"no policy: {word}")


# -------------------- YAML


class Strict(yaml.SafeLoader):
    """Of two keys that are the same YAML's loader keeps the last, and says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As YAML's, once no key comes twice."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise Wrong(f"twice: {', '.join(twice)}, {node.start_mark}")
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


def loaded(text: str) -> Any:
    """What YAML has. Raises Wrong where a key comes twice, and yaml.YAMLError."""
    return yaml.load(text, Strict)  # noqa: S506 - it is a safe one
