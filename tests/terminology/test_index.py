import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from terminology.index import CompiledGraph


@st.composite
def parents(draw):
    """Return a random acyclic graph: each node has parents among those before it."""
    size = draw(st.integers(min_value=1, max_value=25))
    return {
        str(node): [str(parent) for parent in draw(st.sets(st.integers(0, node - 1), max_size=4))]
        if node
        else []
        for node in range(size)
    }


@given(parents())
def test_the_compiled_form_agrees_with_networkx(graph):
    compiled = CompiledGraph(graph)
    oracle = nx.DiGraph((child, parent) for child, above in graph.items() for parent in above)
    oracle.add_nodes_from(graph)
    for code in graph:
        ordinal = compiled.ordinal(code)
        assert set(compiled.decode(compiled.ancestors(ordinal))) == nx.descendants(oracle, code)
        assert set(compiled.decode(compiled.descendants(ordinal))) == nx.ancestors(oracle, code)


def test_a_long_chain_needs_no_recursion():
    compiled = CompiledGraph({str(n): [str(n - 1)] if n else [] for n in range(3000)})
    assert len(compiled.ancestors(compiled.ordinal("2999"))) == 2999


def test_ordinals_decode_in_sorted_order():
    compiled = CompiledGraph({"b": [], "a": ["b"], "c": ["a"]})
    assert list(compiled.decode(compiled.descendants(compiled.ordinal("b")))) == ["a", "c"]
    assert "b" in compiled
    assert "d" not in compiled
