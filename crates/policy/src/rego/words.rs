//! A text in words, for what is rewritten before it is compiled.

use std::ops::Range;

use regorus::Source;
use regorus::unstable::{Lexer, Token, TokenKind};

pub(super) struct Word<'t> {
    kind: TokenKind,
    pub(super) text: &'t str,
    pub(super) at: Range<usize>,
}

/// The words of a text that has been parsed, without its comments. None where it is not understood.
pub(super) fn words(text: &str) -> Option<Vec<Word<'_>>> {
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

impl Word<'_> {
    pub(super) fn is_symbol(&self, text: &str) -> bool {
        self.kind == TokenKind::Symbol && self.text == text
    }

    pub(super) fn is_ident(&self, text: &str) -> bool {
        self.is_name() && self.text == text
    }

    /// A name, which may be a keyword.
    pub(super) fn is_name(&self) -> bool {
        self.kind == TokenKind::Ident
    }

    /// A string, which stands here without its quotes.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.kind, TokenKind::String | TokenKind::RawString)
    }

    /// A string or a number.
    pub(super) fn is_literal(&self) -> bool {
        matches!(self.kind, TokenKind::String | TokenKind::RawString | TokenKind::Number)
    }
}

/// Whether the word at `at` stands for itself, and is no member of what stands before it.
pub(super) fn is_head(words: &[Word<'_>], at: usize) -> bool {
    words[at].is_name() && (at == 0 || !words[at - 1].is_symbol("."))
}
