//! One JSON object, written by hand: every answer waits for an event to be written, and a general
//! serializer looks at each byte of what needs no look.

use std::fmt::{Display, Write};

use super::event::Meta;

/// An object whose members are added in their order.
pub(super) struct Object(String);

impl Object {
    pub(super) fn with_capacity(size: usize) -> Self {
        let mut text = String::with_capacity(size);
        text.push('{');
        Self(text)
    }

    /// A member that may hold anything.
    pub(super) fn text(&mut self, name: &'static str, value: &str) {
        self.name(name);
        quote(&mut self.0, value);
    }

    pub(super) fn text_if(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A member whose type writes nothing that needs escaping: a time, an address.
    pub(super) fn plain(&mut self, name: &'static str, value: &impl Display) {
        self.name(name);
        // Writing to a string does not fail.
        let _ = write!(self.0, "\"{value}\"");
    }

    pub(super) fn plain_if(&mut self, name: &'static str, value: Option<&impl Display>) {
        if let Some(value) = value {
            self.plain(name, value);
        }
    }

    /// A member that is canonical JSON.
    pub(super) fn json(&mut self, name: &'static str, value: &str) {
        self.name(name);
        self.0.push_str(value);
    }

    /// A member that is an object itself, if it has members.
    pub(super) fn members(&mut self, name: &'static str, members: &[(&'static str, Meta)]) {
        if members.is_empty() {
            return;
        }
        self.name(name);
        self.0.push('{');
        for (name, value) in members {
            self.name(name);
            match value {
                Meta::Text(text) => quote(&mut self.0, text),
                Meta::Int(int) => {
                    let _ = write!(self.0, "{int}");
                }
                Meta::List(list) => self.list(list),
                Meta::Json(json) => self.0.push_str(json),
            }
        }
        self.0.push('}');
    }

    fn list(&mut self, list: &[String]) {
        self.0.push('[');
        for (at, text) in list.iter().enumerate() {
            if at > 0 {
                self.0.push(',');
            }
            quote(&mut self.0, text);
        }
        self.0.push(']');
    }

    fn name(&mut self, name: &'static str) {
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A string as RFC 8785 section 3.2.2.2 asks, which is how `serde_json` writes it.
fn quote(out: &mut String, text: &str) {
    let special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    // Without a way out in the middle, so that it looks at many bytes at once.
    if text.bytes().fold(false, |found, byte| found | special(byte)) {
        // A string is always written.
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}
