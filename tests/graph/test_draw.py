from __future__ import annotations

import itertools
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.graph import Graph, GraphBuilder
from archwright.graph.draw import svg
from archwright.graph.groups import groups
from archwright.graph.layout import layout
from archwright.problem import Signature

SVG = "{http://www.w3.org/2000/svg}"


def cells(depth: int) -> Graph:
    builder = GraphBuilder(Signature(((3, 16, 16),), (10,)))
    value = builder.add("conv_bn", [builder.input()], width=4, scope="stem")
    for index in range(depth):
        branches = [builder.add("relu_conv_bn", [value], scope=f"stage1.cell{index}.left") for _ in range(2)]
        value = builder.merge(
            [*branches, builder.add("avg_pool", [value], scope=f"stage1.cell{index}.right")],
            "add",
            f"stage1.cell{index}.sum",
        )
    value = builder.add("global_avg_pool", [value], scope="head")
    return builder.finish([builder.add("linear", [value], width=10, scope="head")])


@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_every_node_is_drawn_and_the_text_is_well_formed(draw_graph, data: st.DataObject) -> None:
    graph = draw_graph(data)
    root = ElementTree.fromstring(svg(graph))
    assert len(root.findall(f".//{SVG}title")) == len(graph)
    assert len([path for path in root.iter(f"{SVG}path") if "marker-end" in path.attrib]) == sum(
        len(node.inputs) for node in graph.nodes
    )
    ElementTree.fromstring(svg(graph, collapse=1))


def test_repeated_scopes_become_one_box_with_a_count_and_one_panel() -> None:
    texts = [text.text for text in ElementTree.fromstring(svg(cells(20))).iter(f"{SVG}text")]
    assert "stage1.cell ×20" in texts
    assert texts.count("inside stage1.cell") == 1
    assert len(texts) < 40
    assert "stage1.cell ×20" not in svg(cells(3))


def test_groups_keep_every_node_and_the_order() -> None:
    graph = cells(12)
    found = groups(graph)
    assert sum(len(group.nodes) * group.count for group in found.groups) == len(graph)
    assert all(source < target for source, target in found.edges)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_boxes_do_not_overlap_and_edges_lead_down(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.tuples(st.floats(10, 200), st.floats(10, 50)), min_size=1, max_size=12))
    pairs = list(itertools.combinations(range(len(sizes)), 2))
    edges = data.draw(st.lists(st.sampled_from(pairs), max_size=20)) if pairs else []
    placed = layout(sizes, edges)
    boxes = [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for (x, y), (w, h) in zip(placed.centres, sizes)]
    for left, top, right, bottom in boxes:
        assert left >= -0.01
        assert top >= -0.01
        assert right <= placed.width + 0.01
        assert bottom <= placed.height + 0.01
    for one, other in itertools.combinations(boxes, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    for (source, target), path in zip(edges, placed.paths):
        assert path[0][1] <= path[-1][1]
        assert path[0][0] == placed.centres[source][0]
        assert path[-1][0] == placed.centres[target][0]
