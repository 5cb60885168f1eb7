"""What a question weighs: how deep it is, its aliases and objects, told before it is carried out.

A fragment is weighed once for each level and page that it is spread in, however often that is: to
follow every spread, as strawberry's own limits do, takes 2**100 steps where each of a hundred
fragments spreads the next one twice.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)
from strawberry.extensions import SchemaExtension
from strawberry.types import ExecutionContext

from api.graphql.connections import USUAL
from api.read.lists import LARGEST_PAGE

DEEPEST = 8
MOST_ALIASES = 15
MOST_OBJECTS = 12_000
ENTRIES = frozenset({"nodes", "edges"})
# As many lines as most orders have.
TIMES = {"items": 5}
# Counting may be a statement of its own.
COUNT, COUNTING = "totalCount", 10
INTROSPECTION = "__"  # what begins so tells of the schema, and only in development

Fragments = Mapping[str, FragmentDefinitionNode]
Variables = Mapping[str, Any]


class Weight(NamedTuple):
    """The level of the deepest field, the first being 0; how many aliases and objects there are."""

    level: int = 0
    aliases: int = 0
    objects: int = 0

    def beside(self, other: "Weight") -> "Weight":
        """Return what both together weigh."""
        return Weight(
            max(self.level, other.level),
            self.aliases + other.aliases,
            self.objects + other.objects,
        )


class WeightLimiter(SchemaExtension):
    """Refuses a question that is too deep or too large, or that is more than one."""

    def on_execute(self) -> Iterator[None]:
        """Look at the question once it is valid and its variables are known."""
        context = self.execution_context
        document = context.graphql_document
        assert document is not None  # noqa: S101 - it is parsed before
        if problem := problem_with(document, context):
            context.result = ExecutionResult(data=None, errors=[GraphQLError(problem)])
        yield


def problem_with(document: DocumentNode, context: ExecutionContext) -> str | None:
    """Return why a question is not carried out."""
    asked = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    if len(asked) > 1 and context.context.operation_name is None:
        return "There are several operations: say by operationName which is meant."
    fragments = {
        one.name.value: one
        for one in document.definitions
        if isinstance(one, FragmentDefinitionNode)
    }
    weights = [
        Scale(fragments, defaults(one) | (context.variables or {})).selection(one.selection_set)
        for one in asked
    ]
    if max(one.level for one in weights) > DEEPEST:
        return f"The question has more than {DEEPEST} levels."
    if (aliases := sum(one.aliases for one in weights)) > MOST_ALIASES:
        return f"There are {aliases} aliases; {MOST_ALIASES} are allowed."
    if (objects := max(one.objects for one in weights)) > MOST_OBJECTS:
        return f"The answer may hold {objects} objects; {MOST_OBJECTS} are allowed."
    return None


class Scale:
    """Weighs the selections of one operation."""

    def __init__(self, fragments: Fragments, variables: Variables) -> None:
        self._fragments, self._variables = fragments, variables
        self._known: dict[tuple[str, int, int], Weight] = {}

    def selection(self, selected: SelectionSetNode, level: int = 0, entries: int = 1) -> Weight:
        """Return what a selection weighs at a level; `entries` is how many a connection has."""
        found = Weight()
        waiting = [*selected.selections]
        while waiting:
            one = waiting.pop()
            if isinstance(one, InlineFragmentNode):
                waiting += one.selection_set.selections
            elif isinstance(one, FragmentSpreadNode):
                found = found.beside(self._spread(one.name.value, level, entries))
            elif isinstance(one, FieldNode):
                found = found.beside(self._field(one, level, entries))
        return found

    def _spread(self, name: str, level: int, entries: int) -> Weight:
        place = name, level, entries
        if place not in self._known:
            inside = self._fragments[name].selection_set
            self._known[place] = self.selection(inside, level, entries)
        return self._known[place]

    def _field(self, field: FieldNode, level: int, entries: int) -> Weight:
        name, aliases = field.name.value, int(field.alias is not None)
        if field.selection_set is None:
            return Weight(level, aliases, COUNTING if name == COUNT else 0)
        if level > DEEPEST or name.startswith(INTROSPECTION):
            return Weight(level, aliases, 1)  # deep enough to be refused, or no answer of ours
        its_entries = entries_of(field, self._variables)
        inner = self.selection(field.selection_set, level + 1, its_entries)
        times = TIMES.get(name, entries if name in ENTRIES else 1)
        return Weight(inner.level, aliases + inner.aliases, times * (1 + inner.objects))


def defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    """Return the defaults of an operation's variables that are whole numbers."""
    return {
        one.variable.name.value: int(one.default_value.value)
        for one in operation.variable_definitions or ()
        if isinstance(one.default_value, IntValueNode)
    }


def entries_of(field: FieldNode, variables: Variables) -> int:
    """Return how many entries a connection may have; more than allowed is refused by itself."""
    for argument in field.arguments or ():
        if argument.name.value in {"first", "last"}:
            value: Any = argument.value
            given = None
            if isinstance(value, IntValueNode):
                given = int(value.value)
            elif isinstance(value, VariableNode):
                given = variables.get(value.name.value)
            if isinstance(given, int):
                return min(max(given, 1), LARGEST_PAGE)
    return USUAL
