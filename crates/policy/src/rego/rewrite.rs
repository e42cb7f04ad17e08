//! What the compiler would read more generously than it is written, rewritten. Within the body of `every` it does
//! not know that its variables have values: it takes `limits[name]` for any member of `limits` and `name = 1` for
//! an assignment. It gets `every name in names { name__0 := name; limits[name__0] }`. Of `_ := owners[id]` it takes
//! no note: that gets a name.

use super::words::{Word, is_head, words};

/// An `every`: where its variables stand, and its body, from bracket to bracket.
struct Every {
    variables: Vec<usize>,
    open: usize,
    close: usize,
}

const NOT_UNDERSTOOD: &str = "has an `every` that is not understood";
const DEFAULT: &str = "a `default` of a function is not known here: let it end with `else`";

/// A text in which the body of each `every` has variables of its own, and nothing is ignored that must be there.
///
/// # Errors
/// What can't be rewritten.
pub(super) fn rewritten(text: &str) -> Result<String, &'static str> {
    let words = words(text).ok_or(NOT_UNDERSTOOD)?;
    let mut names: Vec<String> = words.iter().map(|word| word.text.to_owned()).collect();
    // What stands behind each word, new: the variables that it begins with, and what they are.
    let mut begun: Vec<Vec<(String, String)>> = vec![Vec::new(); words.len()];
    let mut fresh = 0;
    // Inner ones first: an outer one renames what they refer to, too.
    for at in (0..words.len()).rev() {
        if is_default_of_function(&words, at) {
            return Err(DEFAULT);
        }
        if words[at].is_ident("_") && words.get(at + 1).is_some_and(|next| next.is_symbol(":=")) {
            names[at] = new_name(text, "ignored", &mut fresh);
        }
        if !(is_head(&words, at) && words[at].text == "every") {
            continue;
        }
        let every = find(&words, at).ok_or(NOT_UNDERSTOOD)?;
        let body = every.open + 1..every.close;
        for variable in every.variables {
            let old = names[variable].clone();
            let new = new_name(text, &old, &mut fresh);
            for inner in body.clone() {
                if is_head(&words, inner) && names[inner] == old {
                    names[inner].clone_from(&new);
                }
                for (_, of) in &mut begun[inner] {
                    if *of == old {
                        of.clone_from(&new);
                    }
                }
            }
            begun[every.open].push((new, old));
        }
    }
    let (mut out, mut end) = (String::with_capacity(text.len()), 0);
    for ((word, name), begun) in words.iter().zip(&names).zip(&begun) {
        out.push_str(&text[end..word.at.start]);
        out.push_str(name);
        for (new, of) in begun {
            out.push_str(&format!(" {new} := {of};"));
        }
        end = word.at.end;
    }
    out.push_str(&text[end..]);
    Ok(out)
}

/// A name that does not stand in a text.
fn new_name(text: &str, like: &str, fresh: &mut usize) -> String {
    loop {
        let name = format!("{like}__{fresh}");
        *fresh += 1;
        if !text.contains(&name) {
            return name;
        }
    }
}

/// Whether `default name(` stands here.
fn is_default_of_function(words: &[Word<'_>], at: usize) -> bool {
    let mut next = at + 2;
    while words.get(next).is_some_and(|word| word.is_symbol(".")) {
        next += 2;
    }
    is_head(words, at)
        && words[at].text == "default"
        && words.get(next).is_some_and(|word| word.is_symbol("("))
}

/// Reads `every key, value in domain { body }`.
fn find(words: &[Word<'_>], at: usize) -> Option<Every> {
    let mut next = at + 1;
    let mut variables = Vec::new();
    loop {
        let word = words.get(next).filter(|word| word.is_name())?;
        if word.text != "_" {
            variables.push(next);
        }
        next += 2;
        match words.get(next - 1)? {
            word if word.is_symbol(",") => {}
            word if word.is_ident("in") => break,
            _ => return None,
        }
    }
    let first = next;
    loop {
        let word = words.get(next)?;
        // Behind a whole term: a set or an object stands where a term is due.
        if word.is_symbol("{") && next > first && ends_term(&words[next - 1]) {
            return Some(Every { variables, open: next, close: closing(words, next)? });
        }
        next = if opens(word) { closing(words, next)? + 1 } else { next + 1 };
    }
}

fn opens(word: &Word<'_>) -> bool {
    ["{", "[", "("].iter().any(|bracket| word.is_symbol(bracket))
}

fn closes(word: &Word<'_>) -> bool {
    ["}", "]", ")"].iter().any(|bracket| word.is_symbol(bracket))
}

fn ends_term(word: &Word<'_>) -> bool {
    closes(word) || word.is_name() && word.text != "in" || word.is_literal()
}

/// The bracket that closes the one at `open`.
fn closing(words: &[Word<'_>], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, word) in words.iter().enumerate().skip(open) {
        depth += usize::from(opens(word));
        depth -= usize::from(closes(word));
        if depth == 0 {
            return Some(at);
        }
    }
    None
}
