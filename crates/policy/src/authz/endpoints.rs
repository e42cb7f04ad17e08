//! Endpoints and the scopes that each needs, found segment by segment.

use std::collections::HashMap;

use super::segments::{is_plain, of};
use super::{Answer, Asked};
use crate::Permission;
use crate::decision::Reason;

/// All endpoints: a tree of segments, whose first node is the root.
#[derive(Debug)]
pub(super) struct Endpoints(Vec<Node>);

/// Which endpoint: its node and its method.
pub(crate) type Place = (usize, String);

/// What is known of a path.
#[derive(Debug, Default)]
struct Node {
    /// What follows by name, and what follows whatever it is called.
    named: HashMap<Box<str>, usize>,
    any: Option<usize>,
    /// What each method needs.
    methods: HashMap<Box<str>, Vec<Permission>>,
}

/// A segment of an endpoint's path.
#[derive(Debug, Clone, Copy)]
pub(super) enum Segment<'s> {
    /// This one.
    Named(&'s str),
    /// Any one: `:id`.
    Any,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self(vec![Node::default()])
    }
}

impl Endpoints {
    /// Adds one; false when it is there already.
    pub(super) fn add<'s>(
        &mut self,
        method: &str,
        path: impl Iterator<Item = Segment<'s>>,
        scopes: Vec<Permission>,
    ) -> bool {
        let mut at = 0;
        for segment in path {
            let new = self.0.len();
            let next = match segment {
                Segment::Named(name) => *self.0[at].named.entry(name.into()).or_insert(new),
                Segment::Any => *self.0[at].any.get_or_insert(new),
            };
            if next == new {
                self.0.push(Node::default());
            }
            at = next;
        }
        self.0[at].methods.insert(method.into(), scopes).is_none()
    }

    /// Where an endpoint stands.
    pub(super) fn of<'s>(
        &self,
        method: &str,
        path: impl IntoIterator<Item = Segment<'s>>,
    ) -> Option<Place> {
        let at = path.into_iter().try_fold(0, |at, segment| match segment {
            Segment::Named(name) => self.0.get(at)?.named.get(name).copied(),
            Segment::Any => self.0.get(at)?.any,
        });
        Some((at?, method.to_owned()))
    }

    /// Where the endpoint stands that answers.
    pub(super) fn place(&self, asked: &Asked<'_>) -> Option<Place> {
        let node = self.of_path(asked.path)?;
        let at = self.0.iter().position(|known| std::ptr::eq(known, node))?;
        node.methods.contains_key(asked.method).then(|| (at, asked.method.to_owned()))
    }

    /// Allows when all scopes are held that the endpoint needs.
    pub(super) fn ask(&self, asked: &Asked<'_>) -> Answer {
        let node = self.of_path(asked.path);
        let Some(needed) = node.and_then(|node| node.methods.get(asked.method)) else {
            return Answer::deny(Reason::Word("endpoint_not_listed"));
        };
        let missing = needed.iter().filter(|scope| !asked.scopes.holds(scope.as_str()));
        let missing: Vec<&str> = missing.map(Permission::as_str).collect();
        if missing.is_empty() {
            return Answer::Allow;
        }
        let diagnostic = format!("lacks {}", missing.join(" "));
        Answer::telling(Reason::Word("insufficient_scope"), diagnostic)
    }

    fn of_path(&self, path: &str) -> Option<&Node> {
        let path: Vec<&str> = of(path)?.collect();
        path.iter().all(|segment| is_plain(segment)).then(|| self.find(0, &path)).flatten()
    }

    /// The endpoints of a path. A name comes before what may be called anything, as in a route table, and what it
    /// leads to then answers alone: another entry's scopes are not for this path.
    fn find(&self, at: usize, path: &[&str]) -> Option<&Node> {
        let node = self.0.get(at)?;
        let Some((segment, rest)) = path.split_first() else {
            return Some(node).filter(|node| !node.methods.is_empty());
        };
        let named = node.named.get(*segment).and_then(|next| self.find(*next, rest));
        named.or_else(|| self.find(node.any?, rest))
    }
}
