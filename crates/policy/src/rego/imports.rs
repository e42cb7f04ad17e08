//! Imports of packages, spelled out. For `import data.shared` the compiler takes `shared.reader` for all that the
//! package has, looked up when it runs, and for one of it only then: what may run away could no longer be told.
//! `data.shared.reader` it takes for what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::words::{Word, words};

/// What stands in a text, and where.
pub(super) struct Imports {
    /// What each import is called, and what it names.
    pub(super) named: BTreeMap<String, String>,
    /// Where a text names something of an import, by its import.
    used: Vec<(Range<usize>, String)>,
}

impl Imports {
    /// Of a text that has been parsed. None where it is not understood.
    pub(super) fn of(text: &str) -> Option<Self> {
        let words = words(text)?;
        let (mut named, mut at) = (BTreeMap::new(), 0);
        let mut rest = Vec::new();
        while let Some(word) = words.get(at) {
            if word.is_ident("import") {
                let (name, path, next) = import(&words, at + 1)?;
                named.insert(name, path);
                at = next;
            } else {
                rest.push(word);
                at += 1;
            }
        }
        let (mut used, mut alone) = (Vec::new(), BTreeSet::new());
        for (i, word) in rest.iter().enumerate() {
            if !word.is_name() || i > 0 && rest[i - 1].is_symbol(".") {
                continue;
            }
            let indexed = rest.get(i + 1).is_some_and(|next| {
                (next.is_symbol(".") || next.is_symbol("[")) && next.at.start == word.at.end
            });
            let begins_line = text[..word.at.start].ends_with('\n');
            if indexed && !begins_line {
                used.push((word.at.clone(), word.text.to_owned()));
            } else {
                alone.insert(word.text);
            }
        }
        // Such a name may be a variable or a rule of its own.
        used.retain(|(_, name)| named.contains_key(name) && !alone.contains(&**name));
        Some(Self { named, used })
    }

    /// A text with those of its imports spelled out that name packages.
    pub(super) fn spelled_out(&self, text: &str, packages: &[String]) -> String {
        let mut out = text.to_owned();
        for (at, name) in self.used.iter().rev() {
            let path = self.named.get(name).map_or("", String::as_str);
            let deeper = |package: &String| package.strip_prefix(path).is_some_and(is_end);
            if packages.iter().any(deeper) {
                out.replace_range(at.clone(), path);
            }
        }
        out
    }
}

/// Whether a path ends here, or a component of it.
fn is_end(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('.')
}

/// The import that is named from a token on: what it is called, its path, and the token behind it.
fn import(words: &[Word<'_>], mut at: usize) -> Option<(String, String, usize)> {
    let mut path = words.get(at)?.text.to_owned();
    let mut name = path.clone();
    at += 1;
    while words.get(at).is_some_and(|word| word.is_symbol(".")) {
        name = words.get(at + 1)?.text.to_owned();
        path = format!("{path}.{name}");
        at += 2;
    }
    if words.get(at).is_some_and(|word| word.is_ident("as")) {
        name = words.get(at + 1)?.text.to_owned();
        at += 2;
    }
    Some((name, path, at))
}
