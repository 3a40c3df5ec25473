//! The graph as text: DOT for Graphviz, Mermaid for Markdown, JSON for programs.
//!
//! Entities, scopes and the names of kinds are anybody's text. Each form has its own way to keep
//! text from being read as syntax, and none of them lets a name out of its label.

use super::{CausalGraph, CausalNode};
use crate::model::{EventId, EventKind, Sequence, Version};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use hashbrown::HashMap;
use serde::Serialize;

/// What a cut graph says about itself.
const CUT: &str = "cut at its limit";
const OUTSIDE: &str = "not in this graph";

/// The names of kinds; a kind without one is shown by its number.
type KindName<'a> = &'a dyn Fn(EventKind) -> Option<String>;

impl CausalGraph {
    /// The graph in the language of Graphviz. Causes outside the graph are dashed.
    #[must_use]
    pub fn to_dot(&self, kind_name: KindName<'_>) -> String {
        let mut out = String::from("digraph causes {\n  rankdir=LR;\n  node [shape=box];\n");
        for (at, node) in self.nodes.iter().enumerate() {
            let lines = lines(node, kind_name).map(|line| escaped_for_dot(&line)).join("\\n");
            let id = node.id;
            line(&mut out, format_args!("  n{at} [label=\"{lines}\", tooltip=\"{id}\"];"));
        }
        let drawn = self.drawn();
        for (at, id) in drawn.outside.iter().enumerate() {
            line(&mut out, format_args!("  x{at} [label=\"{id}\\n{OUTSIDE}\", style=dashed];"));
        }
        for (cause, effect) in drawn.edges {
            line(&mut out, format_args!("  {cause} -> n{effect};"));
        }
        if self.cut {
            line(&mut out, format_args!("  label=\"{CUT}\";"));
        }
        out.push_str("}\n");
        out
    }

    /// The graph as a Mermaid flowchart. Causes outside the graph are dashed.
    #[must_use]
    pub fn to_mermaid(&self, kind_name: KindName<'_>) -> String {
        let mut out = String::from("flowchart LR\n");
        for (at, node) in self.nodes.iter().enumerate() {
            let lines = lines(node, kind_name).map(|line| escaped_for_mermaid(&line)).join("<br/>");
            line(&mut out, format_args!("  n{at}[\"{lines}\"]"));
        }
        let drawn = self.drawn();
        for (at, id) in drawn.outside.iter().enumerate() {
            line(&mut out, format_args!("  x{at}[\"{id}<br/>{OUTSIDE}\"]:::outside"));
        }
        for (cause, effect) in drawn.edges {
            line(&mut out, format_args!("  {cause} --> n{effect}"));
        }
        if self.cut {
            line(&mut out, format_args!("  cut[\"{CUT}\"]:::outside"));
        }
        out.push_str("  classDef outside stroke-dasharray:4\n");
        out
    }

    /// The graph as JSON: `nodes`, `edges` by their ids, and whether it was `cut`.
    ///
    /// # Panics
    ///
    /// Never: all of it is text and numbers.
    #[must_use]
    pub fn to_json(&self, kind_name: KindName<'_>) -> String {
        let nodes = self.nodes.iter().map(|node| JsonNode {
            id: node.id,
            entity: node.coordinate.entity(),
            scope: node.coordinate.scope(),
            kind: node.kind.to_string(),
            kind_name: kind_name(node.kind),
            sequence: node.sequence,
            version: node.version,
            timestamp_us: node.timestamp_us,
            correlation: node.correlation,
            causation: node.causation,
        });
        let edges = self.edges().into_iter().map(|(cause, effect)| JsonEdge {
            cause: self.nodes[cause].id,
            effect: self.nodes[effect].id,
        });
        let graph = JsonGraph { nodes: nodes.collect(), edges: edges.collect(), cut: self.cut };
        serde_json::to_string(&graph).expect("text and numbers are always written")
    }

    fn drawn(&self) -> Drawn {
        let places = self.places();
        let (mut outside, mut edges) = (Vec::new(), Vec::new());
        let mut known = HashMap::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let Some(cause) = node.causation else { continue };
            if let Some(place) = places.get(&cause) {
                edges.push((format!("n{place}"), at));
                continue;
            }
            let place = *known.entry(cause).or_insert_with(|| {
                outside.push(cause);
                outside.len() - 1
            });
            edges.push((format!("x{place}"), at));
        }
        Drawn { outside, edges }
    }
}

/// The edges by name, and the causes that are no nodes.
struct Drawn {
    outside: Vec<EventId>,
    edges: Vec<(String, usize)>,
}

#[derive(Serialize)]
struct JsonGraph<'a> {
    nodes: Vec<JsonNode<'a>>,
    edges: Vec<JsonEdge>,
    cut: bool,
}

#[derive(Serialize)]
struct JsonNode<'a> {
    id: EventId,
    entity: &'a str,
    scope: &'a str,
    kind: String,
    kind_name: Option<String>,
    sequence: Sequence,
    version: Version,
    timestamp_us: i64,
    correlation: EventId,
    causation: Option<EventId>,
}

#[derive(Serialize)]
struct JsonEdge {
    cause: EventId,
    effect: EventId,
}

/// What stands in a node.
fn lines(node: &CausalNode, kind_name: KindName<'_>) -> [String; 3] {
    let kind = kind_name(node.kind).unwrap_or_else(|| node.kind.to_string());
    [kind, node.coordinate.to_string(), format!("sequence {}", node.sequence)]
}

fn line(out: &mut String, arguments: core::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("writing to a string succeeds");
    out.push('\n');
}

/// For a double-quoted string of DOT, in which `\` escapes and Graphviz decodes HTML entities.
fn escaped_for_dot(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '&' => out.push_str("&amp;"),
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

/// For a quoted label of Mermaid, where `#code;` stands for a character that could be syntax,
/// Markdown or HTML.
fn escaped_for_mermaid(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            plain if plain.is_alphanumeric() => out.push(plain),
            ' ' | '.' | ':' | '@' | '/' | '-' | ',' => out.push(character),
            control if control.is_control() => out.push(' '),
            other => {
                let code = u32::from(other);
                write!(out, "#{code};").expect("writing to a string succeeds");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_of_a_name_ends_its_label() {
        let hostile = "a\"];\n<b>`_x_`#quot;&lt;\\N\\";
        assert_eq!(escaped_for_dot(hostile), "a\\\"]; <b>`_x_`#quot;&amp;lt;\\\\N\\\\");
        let mermaid = escaped_for_mermaid(hostile);
        assert!(!mermaid.contains(['"', '<', '`', '_', '&', '\\', '\n']), "{mermaid}");
        assert!(mermaid.starts_with("a#34;#93;#59; #60;b#62;#96;"), "{mermaid}");
        assert_eq!(escaped_for_mermaid("örder:5@shop"), "örder:5@shop");
    }
}
