//! What is asked: may this subject do this to that, in this context.

mod read;

use std::ops::Range;

use crate::canonical::write_text;
use crate::json::Members;

pub use read::{Form, Parts};

/// A question, lent: asking costs no copies.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    /// Who.
    pub subject: Subject<'q>,
    /// Does what.
    pub action: Action<'q>,
    /// To what.
    pub resource: Resource<'q>,
    /// Under which circumstances. `approval` is no part of the question.
    pub context: &'q Members<'q>,
    /// The tenant it is asked in, if that was said.
    pub tenant: Option<&'q str>,
    /// All of it but its resource, when that has been written before.
    pub frame: Option<&'q Frame>,
}

/// A question but for its resource, in its canonical form: written once for all resources that it is asked of.
#[derive(Debug)]
pub struct Frame {
    before: String,
    after: String,
}

impl Frame {
    /// What a question shares with those that differ in their resource alone.
    #[must_use]
    pub fn of(question: &Question<'_>) -> Self {
        let (mut before, mut after) = (String::new(), String::new());
        question.write_before(&mut before);
        question.write_after(&mut after);
        Self { before, after }
    }
}

/// Who would do it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'q> {
    /// Such as `agent` or `operator`, or a type of the registry.
    pub kind: &'q str,
    /// Which one.
    pub id: &'q str,
    /// Whose it is.
    pub tenant: Option<&'q str>,
    /// What else is said of it.
    pub properties: &'q Members<'q>,
}

/// What would be done.
#[derive(Debug, Clone, Copy)]
pub struct Action<'q> {
    /// A permission's action, or whatever a policy knows.
    pub name: &'q str,
    /// What else is said of it.
    pub properties: &'q Members<'q>,
}

/// What it would be done to.
#[derive(Debug, Clone, Copy)]
pub struct Resource<'q> {
    /// A permission's resource, or a type of the registry.
    pub kind: &'q str,
    /// Which one, or `*`.
    pub id: &'q str,
    /// Which system it belongs to.
    pub system: Option<&'q str>,
    /// What else is said of it.
    pub properties: &'q Members<'q>,
}

impl<'q> Question<'q> {
    /// The tenant it counts for: the request's, else the subject's.
    #[must_use]
    pub fn asked_in(&self) -> Option<&'q str> {
        self.tenant.or(self.subject.tenant)
    }

    /// The canonical question (RFC 8785): the same text for the same question, however it was asked.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut out = String::with_capacity(512);
        self.write(&mut out);
        out
    }

    /// Members in order, so nothing is sorted here but what came as objects. Gives where the resource stands.
    pub(crate) fn write(&self, out: &mut String) -> Range<usize> {
        match self.frame {
            Some(frame) => out.push_str(&frame.before),
            None => self.write_before(out),
        }
        let start = out.len();
        self.resource.write(out);
        let resource = start..out.len();
        match self.frame {
            Some(frame) => out.push_str(&frame.after),
            None => self.write_after(out),
        }
        resource
    }

    fn write_before(&self, out: &mut String) {
        out.push_str(r#"{"action":{"name":"#);
        write_text(out, self.action.name);
        write_member(out, r#","properties":"#, self.action.properties);
        out.push_str(r#"},"context":"#);
        self.context.write(out, |name| name != "approval");
        out.push_str(r#","resource":"#);
    }

    fn write_after(&self, out: &mut String) {
        out.push_str(r#","subject":{"id":"#);
        write_text(out, self.subject.id);
        write_member(out, r#","properties":"#, self.subject.properties);
        write_option(out, r#","tenant":"#, self.subject.tenant);
        out.push_str(r#","type":"#);
        write_text(out, self.subject.kind);
        write_option(out, r#"},"tenant":"#, self.asked_in());
        out.push('}');
    }
}

impl Resource<'_> {
    fn write(&self, out: &mut String) {
        out.push_str(r#"{"id":"#);
        write_text(out, self.id);
        write_member(out, r#","properties":"#, self.properties);
        write_option(out, r#","system":"#, self.system);
        out.push_str(r#","type":"#);
        write_text(out, self.kind);
        out.push('}');
    }

    /// Adds what it says else than `other`, as an object.
    pub(crate) fn write_beside(&self, other: &Self, out: &mut String) {
        out.push_str(r#"{"id":"#);
        write_text(out, self.id);
        if self.properties != other.properties {
            write_member(out, r#","properties":"#, self.properties);
        }
        if self.system != other.system {
            write_option(out, r#","system":"#, self.system);
        }
        if self.kind != other.kind {
            out.push_str(r#","type":"#);
            write_text(out, self.kind);
        }
        out.push('}');
    }
}

fn write_member(out: &mut String, name: &str, object: &Members<'_>) {
    out.push_str(name);
    object.write(out, |_| true);
}

pub(crate) fn write_option(out: &mut String, name: &str, text: Option<&str>) {
    out.push_str(name);
    match text {
        Some(text) => write_text(out, text),
        None => out.push_str("null"),
    }
}
