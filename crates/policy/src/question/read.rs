//! Reading a question out of JSON, in each of the forms in which it is asked.

use super::{Action, Question, Resource, Subject};
use crate::fault::{Fault, escaped};
use crate::json::{Json, Members, nothing};

/// The longest id, type or name, in bytes.
const LONGEST: usize = 1_024;

/// How a question is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `POST /v1/check`: the action may be a word, and what is not known is refused.
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
    object: &'q Members<'q>,
    pointer: &'static str,
}

/// What was said of a question: all of it, or what is the same for many.
#[derive(Debug, Clone, Copy, Default)]
pub struct Parts<'q> {
    /// Who.
    pub subject: Option<Subject<'q>>,
    /// Does what.
    pub action: Option<Action<'q>>,
    /// To what.
    pub resource: Option<Resource<'q>>,
    /// Under which circumstances.
    pub context: Option<&'q Members<'q>>,
    /// In which tenant.
    pub tenant: Option<&'q str>,
}

impl<'q> Question<'q> {
    /// Reads a question; `value` was read by [`Json::read`].
    ///
    /// # Errors
    /// Names the first member that is missing, or not what it must be.
    pub fn read(value: &'q Json<'q>, form: Form) -> Result<Self> {
        Parts::read(value, form, &[])?.question()
    }
}

impl<'q> Parts<'q> {
    /// Reads what there is of a question; `more` are other members that `value` may have.
    ///
    /// # Errors
    /// Names the first member that is not what it must be.
    pub fn read(value: &'q Json<'q>, form: Form, more: &[&str]) -> Result<Self> {
        let Json::Object(object) = value else { return Err(wrong("", "", "must be an object")) };
        let whole = Part { object, pointer: "" };
        if form != Form::AuthZen {
            whole.only(&["subject", "action", "resource", "context", "tenant"], more)?;
        }
        let part = |name, pointer| match object.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(_) => whole.part(name, pointer).map(Some),
        };
        let action = match (form, object.get("action")) {
            (_, None | Some(Json::Null)) => None,
            (Form::Check, Some(Json::Text(_))) => {
                Some(Action { name: whole.text("action")?, properties: nothing() })
            }
            _ => {
                let action = whole.part("action", "/action")?;
                if form == Form::Check {
                    action.only(&["name", "properties"], &[])?;
                }
                let properties = action.properties("properties", "/action/properties")?;
                Some(Action { name: action.text("name")?, properties })
            }
        };
        let context = object.get("context").is_some_and(|context| *context != Json::Null);
        Ok(Self {
            subject: part("subject", "/subject")?.map(|part| part.subject(form)).transpose()?,
            action,
            resource: part("resource", "/resource")?.map(|part| part.resource(form)).transpose()?,
            context: if context { Some(whole.properties("context", "/context")?) } else { None },
            tenant: whole.option("tenant")?,
        })
    }

    /// These, and what they don't say as `others` say it.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            subject: self.subject.or(others.subject),
            action: self.action.or(others.action),
            resource: self.resource.or(others.resource),
            context: self.context.or(others.context),
            tenant: self.tenant.or(others.tenant),
        }
    }

    /// The question, when nothing is missing.
    ///
    /// # Errors
    /// Names what is.
    pub fn question(self) -> Result<Question<'q>> {
        let missing = |name| wrong("", name, "is missing");
        Ok(Question {
            subject: self.subject.ok_or_else(|| missing("subject"))?,
            action: self.action.ok_or_else(|| missing("action"))?,
            resource: self.resource.ok_or_else(|| missing("resource"))?,
            context: self.context.unwrap_or_else(|| nothing()),
            tenant: self.tenant,
            frame: None,
        })
    }
}

impl<'q> Resource<'q> {
    /// Reads a resource that stands by itself.
    ///
    /// # Errors
    /// Names the first member that is not what it must be.
    pub fn read(value: &'q Json<'q>, form: Form) -> Result<Self> {
        let Json::Object(object) = value else { return Err(wrong("", "", "must be an object")) };
        Part { object, pointer: "" }.resource(form)
    }
}

impl<'q> Part<'q> {
    fn subject(self, form: Form) -> Result<Subject<'q>> {
        if form != Form::AuthZen {
            self.only(&["id", "type", "tenant", "properties"], &[])?;
        }
        Ok(Subject {
            kind: self.text("type")?,
            id: self.text("id")?,
            tenant: self.option("tenant")?,
            properties: self.properties("properties", "/subject/properties")?,
        })
    }

    fn resource(self, form: Form) -> Result<Resource<'q>> {
        if form != Form::AuthZen {
            self.only(&["id", "type", "system", "properties"], &[])?;
        }
        Ok(Resource {
            kind: self.text("type")?,
            id: self.text("id")?,
            system: self.option("system")?,
            properties: self.properties("properties", "/resource/properties")?,
        })
    }

    fn wrong(self, name: &str, why: &'static str) -> Fault {
        wrong(self.pointer, name, why)
    }

    fn part(self, name: &str, pointer: &'static str) -> Result<Self> {
        match self.object.get(name) {
            Some(Json::Object(object)) => Ok(Part { object, pointer }),
            Some(_) => Err(self.wrong(name, "must be an object")),
            None => Err(self.wrong(name, "is missing")),
        }
    }

    fn text(self, name: &str) -> Result<&'q str> {
        self.option(name)?.ok_or_else(|| self.wrong(name, "is missing"))
    }

    fn option(self, name: &str) -> Result<Option<&'q str>> {
        let text = match self.object.get(name) {
            None | Some(Json::Null) => return Ok(None),
            Some(Json::Text(text)) => text,
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

    fn properties(self, name: &str, pointer: &'static str) -> Result<&'q Members<'q>> {
        match self.object.get(name) {
            None | Some(Json::Null) => Ok(nothing()),
            Some(_) => Ok(self.part(name, pointer)?.object),
        }
    }

    fn only(self, known: &[&str], more: &[&str]) -> Result<()> {
        let is_known = |name: &str| known.iter().chain(more).any(|known| *known == name);
        match self.object.iter().find(|(name, _)| !is_known(name)) {
            Some((name, _)) => Err(self.wrong(name, "is not known")),
            None => Ok(()),
        }
    }
}

fn wrong(pointer: &str, name: &str, what: &str) -> Fault {
    let slash = if name.is_empty() { "" } else { "/" };
    Fault { at: format!("{pointer}{slash}{}", escaped(name)), what: what.to_owned() }
}
