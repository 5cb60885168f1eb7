"""What a question costs: how many objects its answer may hold, told before it is carried out."""

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)
from strawberry.extensions import SchemaExtension
from strawberry.types import ExecutionContext

from api.graphql.connections import USUAL
from api.read.lists import LARGEST_PAGE

MOST = 12_000
ENTRIES = frozenset({"nodes", "edges"})
# As many lines as most orders have.
TIMES = {"items": 5}
# Counting may be a statement of its own.
COUNT, COUNTING = "totalCount", 10

Fragments = Mapping[str, FragmentDefinitionNode]
Variables = Mapping[str, Any]


class CostLimiter(SchemaExtension):
    """Refuses a question whose answer may hold too many objects, or that is more than one."""

    def on_execute(self) -> Iterator[None]:
        """Look at the question once its variables are known."""
        context = self.execution_context
        document = context.graphql_document
        assert document is not None  # noqa: S101 - it is parsed before
        if len(operations(document)) > 1 and context.context.operation_name is None:
            refuse(context, "There are several operations: say by operationName which is meant.")
        fragments = {
            one.name.value: one
            for one in document.definitions
            if isinstance(one, FragmentDefinitionNode)
        }
        for one in operations(document):
            variables = defaults(one) | (context.variables or {})
            cost = cost_of(one.selection_set, fragments, variables)
            if cost > MOST:
                refuse(context, f"The answer may hold {cost} objects; {MOST} are allowed.")
        yield


def operations(document: DocumentNode) -> list[OperationDefinitionNode]:
    """Return the operations of a document; one of them is meant."""
    return [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]


def refuse(context: ExecutionContext, message: str) -> None:
    """Let a question be answered with an error, and not be carried out."""
    context.result = ExecutionResult(data=None, errors=[GraphQLError(message)])


def defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    """Return the defaults of an operation's variables that are whole numbers."""
    return {
        one.variable.name.value: int(one.default_value.value)
        for one in operation.variable_definitions or ()
        if isinstance(one.default_value, IntValueNode)
    }


def cost_of(
    selected: SelectionSetNode, fragments: Fragments, variables: Variables, entries: int = 1
) -> int:
    """Return how many objects a selection may hold; `entries` is how many a connection has."""
    cost = 0
    for one in selected.selections:
        if isinstance(one, FragmentSpreadNode):
            inside = fragments[one.name.value].selection_set
            cost += cost_of(inside, fragments, variables, entries)
        elif not isinstance(one, FieldNode):
            cost += cost_of(one.selection_set, fragments, variables, entries)  # type: ignore[attr-defined]  # an inline fragment
        elif one.selection_set is not None:
            inner = cost_of(one.selection_set, fragments, variables, entries_of(one, variables))
            cost += TIMES.get(one.name.value, entries if one.name.value in ENTRIES else 1) * (
                1 + inner
            )
        elif one.name.value == COUNT:
            cost += COUNTING
    return cost


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
