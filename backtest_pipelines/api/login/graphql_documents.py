"""What a GraphQL request asks for: its document is parsed, and its mutations decide which scope it needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Final

from backtest_pipelines.api.login.scopes import Scope
from backtest_pipelines.errors import BadRequestError

if TYPE_CHECKING:
    from graphql import FragmentDefinitionNode, OperationDefinitionNode, SelectionSetNode

LONGEST_REQUEST: Final = 1_000_000
"""Bytes; the config of a run travels with its document."""
LONGEST_DOCUMENT: Final = 50_000
"""Characters; all documents of Dagster's UI together have 43,000, with their fragments."""
MOST_WORDS: Final = 5_000
"""Lexical tokens, which bound the time of parsing."""
DEEPEST: Final = 30
"""Selections within selections, fragments not followed."""
MOST_FIELDS: Final = 5_000
"""With those of fragments, as often as they are named; the largest document of Dagster's UI has 1,041."""
RUN_MUTATIONS: Final = frozenset(
    {
        "launchMultipleRuns",
        "launchPipelineExecution",
        "launchPipelineReexecution",
        "launchRun",
        "launchRunReexecution",
        "terminatePipelineExecution",
        "terminateRun",
        "terminateRuns",
    }
)
"""Mutations that start and end runs; those with Pipeline in their names are the same, as the UI calls them."""


def decoded(text: str | bytes) -> Any:  # noqa: ANN401 - any JSON
    """Return JSON that is read one way only: no name comes twice in an object.

    Raises
    ------
    BadRequestError
        If it is none.
    """
    try:
        plain = text if isinstance(text, str) else text.decode()
        return json.loads(plain, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise BadRequestError("GraphQL request", f"{len(text)} bytes", f"allowed: JSON in UTF-8 ({error})") from None


def scope_of(request: object) -> Scope:
    """Return the scope that a GraphQL request needs.

    Every operation of its document counts, whichever ``operationName`` picks.

    Parameters
    ----------
    request : JSON value

    Raises
    ------
    BadRequestError
        If it is no single request, or its document cannot be parsed.
    """
    if not isinstance(request, dict):
        raise BadRequestError("GraphQL request", type(request).__name__, "allowed: one object; batches are not taken")
    document = request.get("query")
    if not isinstance(document, str):
        raise BadRequestError("query", type(document).__name__, "allowed: a GraphQL document")
    return _scope_of_document(document)


@lru_cache(maxsize=256)
def _scope_of_document(document: str) -> Scope:
    # Parsing takes milliseconds and pages ask the same again and again: what it found is remembered.
    from graphql import FragmentDefinitionNode, OperationDefinitionNode, OperationType  # noqa: PLC0415 - 60 ms

    fragments: dict[str, FragmentDefinitionNode] = {}
    mutations: list[OperationDefinitionNode] = []
    for definition in _parsed(document):
        if isinstance(definition, FragmentDefinitionNode):
            fragments[definition.name.value] = definition
        elif not isinstance(definition, OperationDefinitionNode):
            raise BadRequestError("query", definition.kind, "allowed: operations and fragments")
        elif definition.operation == OperationType.MUTATION:
            mutations.append(definition)
    fields = {field for mutation in mutations for field in _fields(mutation.selection_set, fragments)}
    if not mutations:
        return Scope.READ
    return Scope.RUN if fields <= RUN_MUTATIONS else Scope.ADMIN


def _parsed(document: str) -> Iterable[Any]:
    from graphql import GraphQLError, parse  # noqa: PLC0415

    try:
        definitions = parse(
            document,
            no_location=True,
            max_lexical_tokens=MOST_WORDS,
            max_comments=MOST_WORDS,
            max_source_length=LONGEST_DOCUMENT,
        ).definitions
    except GraphQLError as error:
        raise BadRequestError("query", f"{len(document)} characters", f"allowed: GraphQL ({error.message})") from None
    _check_expanded([_counted(definition) for definition in definitions])
    return definitions


@dataclass(frozen=True, slots=True)
class _Counted:
    """A definition: its name where it is a fragment, and how many fields and which fragments are named in it."""

    fragment: str | None
    fields: int
    spreads: Sequence[str]


def _counted(definition: Any) -> _Counted:  # noqa: ANN401 - any node
    from graphql import FieldNode, FragmentDefinitionNode, FragmentSpreadNode  # noqa: PLC0415

    fields, spreads = 0, []
    waiting = [(definition, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEEPEST:
            raise BadRequestError("query", "deeper nesting", f"allowed: {DEEPEST} selections within each other")
        if isinstance(node, FieldNode):
            fields += 1
        elif isinstance(node, FragmentSpreadNode):
            spreads.append(node.name.value)
        selected = getattr(node, "selection_set", None)
        waiting += [(selection, depth + 1) for selection in selected.selections] if selected else []
    fragment = definition.name.value if isinstance(definition, FragmentDefinitionNode) else None
    return _Counted(fragment, fields, spreads)


def _check_expanded(definitions: Iterable[_Counted]) -> None:
    """Refuse what has too many fields once its fragments stand where they are named: each within another doubles them.

    A fragment within itself, or one that is not defined, is left to Dagster, which refuses the whole document for it.
    """
    fragments = {counted.fragment: counted for counted in definitions if counted.fragment is not None}
    try:
        order = list(TopologicalSorter({name: of.spreads for name, of in fragments.items()}).static_order())
    except CycleError:
        return
    expanded: dict[str, int] = {}
    for name in order:
        if name in fragments:
            expanded[name] = _expanded(fragments[name], expanded)
    most = max((_expanded(counted, expanded) for counted in definitions), default=0)
    if most > MOST_FIELDS:
        raise BadRequestError("query", f"{most:.3g} fields", f"allowed: {MOST_FIELDS} with those of its fragments")


def _expanded(counted: _Counted, expanded: Mapping[str, int]) -> int:
    return counted.fields + sum(expanded.get(name, 0) for name in counted.spreads)


def _fields(selected: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode]) -> set[str]:
    """Return the fields that are selected at the top, through fragments, by their own names."""
    from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode  # noqa: PLC0415

    fields: set[str] = set()
    followed: set[str] = set()
    waiting = list(selected.selections)
    while waiting:
        selection = waiting.pop()
        if isinstance(selection, FieldNode):
            fields.add(selection.name.value)
        elif isinstance(selection, InlineFragmentNode):
            waiting += selection.selection_set.selections
        elif isinstance(selection, FragmentSpreadNode) and (name := selection.name.value) not in followed:
            if name not in fragments:
                raise BadRequestError("query", name, "allowed: fragments that the document defines")
            followed.add(name)
            waiting += fragments[name].selection_set.selections
    return fields


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        msg = "a name comes twice in one object"
        raise ValueError(msg)
    return found
