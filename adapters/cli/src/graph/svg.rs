//! A graph as SVG, laid out by `layout-rs`: a picture for those who have no Graphviz at hand.

use annals::{CausalGraph, CausalNode, EventId, EventKind};
use layout::adt::dag::NodeHandle;
use layout::backends::svg::SVGWriter;
use layout::core::base::Orientation;
use layout::core::color::Color;
use layout::core::geometry::{Point, get_size_for_str};
use layout::core::style::{LineStyleKind, StyleAttr};
use layout::std_shapes::shapes::{Arrow, Element, ShapeKind};
use layout::topo::layout::VisualGraph;
use std::collections::HashMap;

type KindName<'a> = &'a dyn Fn(EventKind) -> Option<String>;

const FONT_SIZE: usize = 14;
const MARGIN: f64 = 16.0;
const CUT: &str = "cut at its limit";

/// The graph as a document of its own. Causes outside the graph are grey, with dashed edges.
pub(super) fn draw(graph: &CausalGraph, kind_name: KindName<'_>) -> String {
    let mut picture = VisualGraph::new(Orientation::LeftToRight);
    let mut places: HashMap<EventId, NodeHandle> = HashMap::new();
    for node in graph.nodes() {
        let place = picture.add_node(element(&label(node, kind_name), Color::fast("white")));
        places.insert(node.id, place);
    }
    for node in graph.nodes() {
        let Some(cause) = node.causation.filter(|cause| *cause != node.id) else { continue };
        let is_inside = graph.nodes().binary_search_by_key(&node.sequence, |node| node.sequence);
        let known = places.get(&cause).copied();
        let from = known.unwrap_or_else(|| {
            let text = format!("{cause}\nnot in this graph");
            let place = picture.add_node(element(&text, Color::fast("lightgray")));
            places.insert(cause, place);
            place
        });
        let Some(to) = is_inside.ok().and_then(|_| places.get(&node.id)) else { continue };
        picture.add_edge(arrow(known.is_none()), from, *to);
    }
    if graph.is_cut() {
        picture.add_node(element(CUT, Color::fast("lightgray")));
    }
    if graph.nodes().is_empty() && !graph.is_cut() {
        picture.add_node(element("no event", Color::fast("white")));
    }
    let mut svg = SVGWriter::new();
    picture.do_it(false, false, false, &mut svg);
    svg.finalize()
}

fn element(text: &str, fill: Color) -> Element {
    let style = StyleAttr::new(Color::fast("black"), 1, Some(fill), 4, FONT_SIZE);
    let text_size = get_size_for_str(text, FONT_SIZE);
    let size = Point::new(text_size.x + MARGIN, text_size.y + MARGIN);
    Element::create(ShapeKind::new_box(text), style, Orientation::LeftToRight, size)
}

fn arrow(is_dashed: bool) -> Arrow {
    let mut arrow = Arrow::simple("");
    if is_dashed {
        arrow.line_style = LineStyleKind::Dashed;
    }
    arrow
}

fn label(node: &CausalNode, kind_name: KindName<'_>) -> String {
    let kind = kind_name(node.kind).unwrap_or_else(|| node.kind.to_string());
    let coordinate = drawable(&node.coordinate.to_string());
    format!("{}\n{coordinate}\nsequence {}", drawable(&kind), node.sequence)
}

/// Text without characters that XML has no place for; the writer escapes the others.
fn drawable(text: &str) -> String {
    let replaced = |c: char| match c {
        c if c.is_control() => ' ',
        '\u{FFFE}' | '\u{FFFF}' => '\u{FFFD}',
        c => c,
    };
    text.chars().map(replaced).collect()
}
