//! Imports of packages, spelled out. For `import data.shared` the compiler takes `shared.reader` for all that the
//! package has, looked up when it runs, and for one of it only then: what may run away could no longer be told.
//! `data.shared.reader` it takes for what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use regorus::Source;
use regorus::unstable::{Lexer, Token, TokenKind};

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
        let tokens = tokens(text)?;
        let (mut named, mut at) = (BTreeMap::new(), 0);
        let mut rest = Vec::new();
        while let Some(token) = tokens.get(at) {
            if token.is_ident("import") {
                let (name, path, next) = import(&tokens, at + 1)?;
                named.insert(name, path);
                at = next;
            } else {
                rest.push(token);
                at += 1;
            }
        }
        let (mut used, mut alone) = (Vec::new(), BTreeSet::new());
        for (i, word) in rest.iter().enumerate() {
            if word.kind != TokenKind::Ident || i > 0 && rest[i - 1].is_symbol(".") {
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

struct Word<'t> {
    kind: TokenKind,
    text: &'t str,
    at: Range<usize>,
}

impl Word<'_> {
    fn is_symbol(&self, text: &str) -> bool {
        self.kind == TokenKind::Symbol && self.text == text
    }

    fn is_ident(&self, text: &str) -> bool {
        self.kind == TokenKind::Ident && self.text == text
    }
}

fn tokens(text: &str) -> Option<Vec<Word<'_>>> {
    let source = Source::from_contents(String::new(), text.to_owned()).ok()?;
    let (mut lexer, mut words) = (Lexer::new(&source), Vec::new());
    loop {
        let Token(kind, span) = lexer.next_token().ok()?;
        if kind == TokenKind::Eof {
            return Some(words);
        }
        let at = usize::try_from(span.start).ok()?..usize::try_from(span.end).ok()?;
        words.push(Word { kind, text: text.get(at.clone())?, at });
    }
}

/// The import that is named from a token on: what it is called, its path, and the token behind it.
fn import(tokens: &[Word<'_>], mut at: usize) -> Option<(String, String, usize)> {
    let mut path = tokens.get(at)?.text.to_owned();
    let mut name = path.clone();
    at += 1;
    while tokens.get(at).is_some_and(|token| token.is_symbol(".")) {
        name = tokens.get(at + 1)?.text.to_owned();
        path = format!("{path}.{name}");
        at += 2;
    }
    if tokens.get(at).is_some_and(|token| token.is_ident("as")) {
        name = tokens.get(at + 1)?.text.to_owned();
        at += 2;
    }
    Some((name, path, at))
}
