//! The table by segments: what is more specific is looked at first.

use std::collections::HashMap;

use super::Route;
use super::target::{Host, decoded};

/// Patterns, a node for each beginning that some of them share.
#[derive(Debug, Default)]
pub(super) struct Tree(Node);

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, Node>,
    capture: Option<Box<Node>>,
    /// Of patterns that end here.
    here: Leaf,
    /// Of patterns that end here with `/*`.
    beyond: Leaf,
}

/// The routes of one pattern, by host.
#[derive(Debug, Default)]
struct Leaf {
    any: Vec<usize>,
    hosts: HashMap<Box<str>, Vec<usize>>,
}

impl Leaf {
    fn of(&self, host: &Host<'_>) -> Option<&[usize]> {
        let named = self.hosts.get(host.as_str());
        named.or(Some(&self.any)).map(Vec::as_slice).filter(|routes| !routes.is_empty())
    }
}

/// A segment of a pattern.
pub(super) enum Segment<'p> {
    /// One segment, whatever it is.
    Capture(&'p str),
    /// All that follows, and nothing.
    Rest,
    /// This one.
    Literal(&'p str),
}

/// The segments of a pattern.
pub(super) fn segments(path: &str) -> impl Iterator<Item = Segment<'_>> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split('/').map(|segment| {
        if segment == "*" {
            return Segment::Rest;
        }
        match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => Segment::Capture(name),
            None => Segment::Literal(segment),
        }
    })
}

impl Tree {
    /// Adds the route `at`; gives those that stand at the same place already.
    pub(super) fn add(&mut self, at: usize, route: &Route) -> Vec<usize> {
        let mut node = &mut self.0;
        let mut beyond = false;
        for segment in segments(&route.path) {
            node = match segment {
                Segment::Capture(_) => node.capture.get_or_insert_default(),
                Segment::Rest => {
                    beyond = true;
                    break;
                }
                Segment::Literal(text) => {
                    let text = decoded(text).map_or_else(|| text.into(), |it| it.into_owned());
                    node.literals.entry(text.into()).or_default()
                }
            };
        }
        let leaf = if beyond { &mut node.beyond } else { &mut node.here };
        let routes = match &route.host {
            Some(host) => leaf.hosts.entry(host.clone()).or_default(),
            None => &mut leaf.any,
        };
        let before = routes.clone();
        routes.push(at);
        before
    }

    /// The routes of the most specific pattern that a path matches.
    pub(super) fn find(&self, path: &str, host: &Host<'_>) -> Option<&[usize]> {
        let mut found = None;
        self.0.each(path.strip_prefix('/'), host, &mut |routes| {
            found = Some(routes);
            true
        });
        found
    }

    /// The routes of all patterns that a path matches, the most specific first.
    pub(super) fn all(&self, path: &str, host: &Host<'_>) -> Vec<&[usize]> {
        let mut all = Vec::new();
        self.0.each(path.strip_prefix('/'), host, &mut |routes| {
            all.push(routes);
            false
        });
        all
    }
}

impl Node {
    /// Goes through the patterns that match, the most specific first, until `end` says that it is enough. No deeper than
    /// the deepest pattern, and to no node twice.
    fn each<'n>(
        &'n self,
        rest: Option<&str>,
        host: &Host<'_>,
        end: &mut impl FnMut(&'n [usize]) -> bool,
    ) -> bool {
        if let Some(rest) = rest {
            let (segment, rest) = match rest.split_once('/') {
                Some((segment, rest)) => (segment, Some(rest)),
                None => (rest, None),
            };
            let decoded = decoded(segment);
            let literal = self.literals.get(decoded.as_deref().unwrap_or(segment));
            let capture = self.capture.as_deref().filter(|_| !segment.is_empty());
            if [literal, capture].into_iter().flatten().any(|node| node.each(rest, host, end)) {
                return true;
            }
        } else if self.here.of(host).is_some_and(&mut *end) {
            return true;
        }
        self.beyond.of(host).is_some_and(end)
    }
}
