//! Reading a question out of JSON, in each of the forms in which it is asked.

use serde_json::Value;

use super::{Action, Object, Question, Resource, Subject, nothing};
use crate::fault::{Fault, escaped};

/// The longest id, type or name, in bytes.
const LONGEST: usize = 1_024;

/// How a question is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `POST /v1/check`: the action is a word, and what is not known is refused.
    Check,
    /// AuthZEN: the action is an object, and what is not known is ignored.
    AuthZen,
    /// As [`Question::canonical`] writes it.
    Canonical,
}

type Result<T> = std::result::Result<T, Fault>;

/// One object of the question, and where it stands.
#[derive(Clone, Copy)]
struct Part<'q> {
    object: &'q Object,
    pointer: &'static str,
}

impl<'q> Question<'q> {
    /// Reads a question; `value` was read by [`crate::strict`].
    ///
    /// # Errors
    /// Names the first member that is missing, or not what it must be.
    pub fn read(value: &'q Value, form: Form) -> Result<Self> {
        let Value::Object(object) = value else { return Err(wrong("", "", "must be an object")) };
        let whole = Part { object, pointer: "" };
        let (subject, resource) =
            (whole.part("subject", "/subject")?, whole.part("resource", "/resource")?);
        let action = match form {
            Form::Check => Action { name: whole.text("action")?, properties: nothing() },
            Form::AuthZen | Form::Canonical => {
                let action = whole.part("action", "/action")?;
                Action {
                    name: action.text("name")?,
                    properties: action.properties("properties", "/action/properties")?,
                }
            }
        };
        if form != Form::AuthZen {
            whole.only(&["subject", "action", "resource", "context", "tenant"])?;
            subject.only(&["id", "type", "tenant", "properties"])?;
            resource.only(&["id", "type", "system", "properties"])?;
        }
        Ok(Self {
            subject: Subject {
                kind: subject.text("type")?,
                id: subject.text("id")?,
                tenant: subject.option("tenant")?,
                properties: subject.properties("properties", "/subject/properties")?,
            },
            action,
            resource: Resource {
                kind: resource.text("type")?,
                id: resource.text("id")?,
                system: resource.option("system")?,
                properties: resource.properties("properties", "/resource/properties")?,
            },
            context: whole.properties("context", "/context")?,
            tenant: whole.option("tenant")?,
        })
    }
}

impl<'q> Part<'q> {
    fn wrong(self, name: &str, why: &'static str) -> Fault {
        wrong(self.pointer, name, why)
    }

    fn part(self, name: &str, pointer: &'static str) -> Result<Self> {
        match self.object.get(name) {
            Some(Value::Object(object)) => Ok(Part { object, pointer }),
            Some(_) => Err(self.wrong(name, "must be an object")),
            None => Err(self.wrong(name, "is missing")),
        }
    }

    fn text(self, name: &str) -> Result<&'q str> {
        self.option(name)?.ok_or_else(|| self.wrong(name, "is missing"))
    }

    fn option(self, name: &str) -> Result<Option<&'q str>> {
        let text = match self.object.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text,
            Some(_) => return Err(self.wrong(name, "must be text")),
        };
        match text.len() {
            0 => Err(self.wrong(name, "is empty")),
            length if length > LONGEST => Err(self.wrong(name, "is longer than 1024 bytes")),
            _ if text.chars().any(char::is_control) => {
                Err(self.wrong(name, "has a control character"))
            }
            _ => Ok(Some(text)),
        }
    }

    fn properties(self, name: &str, pointer: &'static str) -> Result<&'q Object> {
        match self.object.get(name) {
            None | Some(Value::Null) => Ok(nothing()),
            Some(_) => Ok(self.part(name, pointer)?.object),
        }
    }

    fn only(self, known: &[&str]) -> Result<()> {
        match self.object.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(self.wrong(name, "is not known")),
            None => Ok(()),
        }
    }
}

fn wrong(pointer: &str, name: &str, what: &str) -> Fault {
    let slash = if name.is_empty() { "" } else { "/" };
    Fault { at: format!("{pointer}{slash}{}", escaped(name)), what: what.to_owned() }
}
