//! The members of an object of the snapshot, read one after another, each fault with its place.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::fault::Faults;
use crate::json::{Json, Members};

/// The longest name, in bytes.
const LONGEST: usize = 1_024;

/// An object whose members have not been read yet, sorted; none is there twice.
pub(super) struct Unread<'t>(pub(super) BTreeMap<String, &'t RawValue>);

impl<'de> Deserialize<'de> for Unread<'de> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Unread<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unread<'de>, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    if members.insert(name.clone(), value).is_some() {
                        return Err(A::Error::custom(format_args!(
                            "`{name}` is given more than once"
                        )));
                    }
                }
                Ok(Unread(members))
            }
        }
        source.deserialize_map(Reader)
    }
}

/// One element that was read, and where it stands.
pub(super) struct Element<'e> {
    pub(super) object: &'e Members<'e>,
    pub(super) at: At<'e>,
}

/// A place: a JSON pointer, or an item of the list that it points at.
#[derive(Clone, Copy)]
pub(super) struct At<'e> {
    pub(super) pointer: &'e str,
    pub(super) item: Option<usize>,
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.pointer)?;
        self.item.map_or(Ok(()), |item| write!(f, "/{item}"))
    }
}

impl Element<'_> {
    pub(super) fn fault(&self, faults: &mut Faults, name: &str, what: &str) {
        faults.add(format!("{}/{name}", self.at), what);
    }

    /// A name, which must be there.
    pub(super) fn name(&self, name: &str, faults: &mut Faults) -> Option<Arc<str>> {
        match self.object.get(name) {
            Some(Json::Text(text)) if is_name(text) => return Some((**text).into()),
            None => self.fault(faults, name, "is missing"),
            Some(_) => self.fault(faults, name, "must be a name of at most 1024 bytes"),
        }
        None
    }

    /// A name that may be absent.
    pub(super) fn optional(&self, name: &str, faults: &mut Faults) -> Option<Arc<str>> {
        let given = self.object.get(name).is_some_and(|value| *value != Json::Null);
        if given { self.name(name, faults) } else { None }
    }

    /// A list of names; empty when it is absent.
    pub(super) fn names<'s>(&'s self, name: &str, faults: &mut Faults) -> Vec<&'s str> {
        let items = match self.object.get(name) {
            Some(Json::List(items)) => items.as_slice(),
            None | Some(Json::Null) => &[],
            Some(_) => {
                self.fault(faults, name, "must be a list of names");
                &[]
            }
        };
        for (i, item) in items.iter().enumerate() {
            if !item.as_str().is_some_and(is_name) {
                self.fault(faults, &format!("{name}/{i}"), "must be a name of at most 1024 bytes");
            }
        }
        items.iter().filter_map(Json::as_str).collect()
    }

    /// An object as JSON; nothing when it is absent.
    pub(super) fn json(&self, name: &str, faults: &mut Faults) -> Box<str> {
        match self.object.get(name) {
            None | Some(Json::Null) => Box::default(),
            Some(value @ Json::Object(_)) => value.canonical().into(),
            Some(_) => {
                self.fault(faults, name, "must be an object");
                Box::default()
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && !text.chars().any(char::is_control)
}
