//! Structured fields (RFC 8941): the dictionaries that signatures come in.
//!
//! Stricter than the RFC where it would let two programs read one field differently: a key given
//! twice is refused, base64 has one spelling, and there are at most 32 members, items or
//! parameters. Total: any text is read or refused in time linear in its length.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Not a field of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

type Result<T> = std::result::Result<T, Malformed>;

/// What stands behind a key of a dictionary.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member<'t> {
    pub(super) key: &'t str,
    pub(super) value: Value<'t>,
    pub(super) parameters: Vec<Parameter<'t>>,
}

/// One item, or several in parentheses, each with parameters.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value<'t> {
    Bare(Bare),
    List(Vec<(Bare, Vec<Parameter<'t>>)>),
}

/// `;key=value`
pub(super) type Parameter<'t> = (&'t str, Bare);

/// An item without parameters.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bare {
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
    /// A decimal, a token or a boolean: signatures use none.
    Other,
}

/// Far more than proxies on the way add.
const MOST: usize = 32;

/// Reads a dictionary (section 4.2.2).
pub(super) fn dictionary(text: &str) -> Result<Vec<Member<'_>>> {
    let mut input = Input { rest: text };
    let mut members: Vec<Member<'_>> = Vec::new();
    input.skip(" ");
    while !input.rest.is_empty() {
        let key = input.key()?;
        if members.len() == MOST || members.iter().any(|member| member.key == key) {
            return Err(Malformed);
        }
        let value = if !input.eat('=') {
            Value::Bare(Bare::Other)
        } else if input.eat('(') {
            Value::List(input.list()?)
        } else {
            Value::Bare(input.bare()?)
        };
        members.push(Member { key, value, parameters: input.parameters()? });
        input.skip(" \t");
        if input.rest.is_empty() {
            break;
        }
        input.expect(',')?;
        input.skip(" \t");
        if input.rest.is_empty() {
            return Err(Malformed); // a comma at the end
        }
    }
    Ok(members)
}

/// Writes a string (section 4.1.6); `text` is visible ASCII.
pub(super) fn text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Writes a byte sequence (section 4.1.8).
pub(super) fn bytes(bytes: &[u8]) -> String {
    format!(":{}:", STANDARD.encode(bytes))
}

/// Whether an integer has at most 15 digits (section 3.3.1).
pub(super) fn fits(number: i64) -> bool {
    number.unsigned_abs() < 1_000_000_000_000_000
}

struct Input<'t> {
    rest: &'t str,
}

impl<'t> Input<'t> {
    fn eat(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, wanted: char) -> Result<()> {
        if self.eat(wanted) { Ok(()) } else { Err(Malformed) }
    }

    fn skip(&mut self, blanks: &str) {
        self.rest = self.rest.trim_start_matches(|c| blanks.contains(c));
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Section 4.2.3.3.
    fn key(&mut self) -> Result<&'t str> {
        if !self.rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '*') {
            return Err(Malformed);
        }
        Ok(self.take(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-' | '.' | '*')))
    }

    /// Section 4.2.1.2, behind the opening parenthesis.
    fn list(&mut self) -> Result<Vec<(Bare, Vec<Parameter<'t>>)>> {
        let mut items = Vec::new();
        loop {
            self.skip(" ");
            if self.eat(')') {
                return Ok(items);
            }
            if items.len() == MOST {
                return Err(Malformed);
            }
            items.push((self.bare()?, self.parameters()?));
            if !self.rest.starts_with([' ', ')']) {
                return Err(Malformed);
            }
        }
    }

    /// Section 4.2.3.2.
    fn parameters(&mut self) -> Result<Vec<Parameter<'t>>> {
        let mut parameters: Vec<Parameter<'t>> = Vec::new();
        while self.eat(';') {
            self.skip(" ");
            let key = self.key()?;
            if parameters.len() == MOST || parameters.iter().any(|(known, _)| *known == key) {
                return Err(Malformed);
            }
            let value = if self.eat('=') { self.bare()? } else { Bare::Other };
            parameters.push((key, value));
        }
        Ok(parameters)
    }

    /// Section 4.2.3.1.
    fn bare(&mut self) -> Result<Bare> {
        match self.rest.chars().next().ok_or(Malformed)? {
            '"' => self.string(),
            ':' => self.byte_sequence(),
            '-' | '0'..='9' => self.number(),
            '?' => {
                self.expect('?')?;
                if self.eat('0') || self.eat('1') { Ok(Bare::Other) } else { Err(Malformed) }
            }
            '*' | 'A'..='Z' | 'a'..='z' => {
                self.take(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(c));
                Ok(Bare::Other)
            }
            _ => Err(Malformed),
        }
    }

    /// Section 4.2.4.
    fn number(&mut self) -> Result<Bare> {
        let negative = self.eat('-');
        let digits = self.take(|c| c.is_ascii_digit());
        if self.eat('.') {
            let fraction = self.take(|c| c.is_ascii_digit());
            let good = (1..=12).contains(&digits.len()) && (1..=3).contains(&fraction.len());
            return if good { Ok(Bare::Other) } else { Err(Malformed) };
        }
        if digits.len() > 15 {
            return Err(Malformed);
        }
        let number: i64 = digits.parse().map_err(|_| Malformed)?;
        Ok(Bare::Integer(if negative { -number } else { number }))
    }

    /// Section 4.2.5.
    fn string(&mut self) -> Result<Bare> {
        self.expect('"')?;
        let mut text = String::new();
        loop {
            text.push_str(self.take(|c| matches!(c, ' '..='~') && c != '"' && c != '\\'));
            if self.eat('"') {
                return Ok(Bare::Text(text));
            }
            self.expect('\\')?;
            let escaped = ['"', '\\'].into_iter().find(|c| self.eat(*c));
            text.push(escaped.ok_or(Malformed)?);
        }
    }

    /// Section 4.2.7.
    fn byte_sequence(&mut self) -> Result<Bare> {
        self.expect(':')?;
        let encoded = self.take(|c| c != ':');
        self.expect(':')?;
        STANDARD.decode(encoded).map(Bare::Bytes).map_err(|_| Malformed)
    }
}

#[cfg(test)]
mod tests;
