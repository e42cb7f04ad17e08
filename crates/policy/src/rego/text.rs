//! What is looked at before a text is parsed: some texts would keep the parser busy for ever.

use crate::fault::Fault;

/// The longest text of one file, in bytes.
const LONGEST: usize = 256 << 10;
/// How deep brackets may stand within each other: the parser's time doubles with each.
const DEEPEST: usize = 10;
/// The most digits of an exponent.
const EXPONENT: usize = 3;

/// Refuses what is too long, nested too deep, or writes numbers too large to hold.
pub(super) fn check(file: &str, source: &str) -> Result<(), Fault> {
    let fault = |line: usize, what: String| Fault { at: format!("{file}:{line}"), what };
    if source.len() > LONGEST {
        return Err(fault(
            1,
            format!("a file may be {LONGEST} bytes long; this is {}", source.len()),
        ));
    }
    if source.contains('\0') {
        return Err(fault(1, "holds a NUL character".to_owned()));
    }
    let mut depth = 0_usize;
    for (line, code) in code(source) {
        for character in code.chars() {
            match character {
                '[' | '{' => depth += 1,
                ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > DEEPEST {
                let what = format!("brackets stand more than {DEEPEST} deep within each other");
                return Err(fault(line, what));
            }
        }
        if has_large_exponent(code) {
            return Err(fault(line, format!("an exponent of more than {EXPONENT} digits")));
        }
    }
    Ok(())
}

/// Whether a number stands in a text whose exponent has too many digits.
pub(super) fn has_large_exponent(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..bytes.len()).any(|at| {
        let follows_number =
            matches!(bytes[at], b'e' | b'E') && matches!(bytes[at - 1], b'0'..=b'9' | b'.');
        let rest = bytes[at + 1..].iter().skip_while(|byte| matches!(byte, b'+' | b'-'));
        follows_number && rest.take_while(|byte| byte.is_ascii_digit()).count() > EXPONENT
    })
}

/// The stretches of a source that are neither comment nor string, each with its line.
fn code(source: &str) -> Vec<(usize, &str)> {
    let (mut found, mut line, mut begin) = (Vec::new(), 1, 0);
    let mut characters = source.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\n' => line += 1,
            '#' | '"' | '`' => {
                found.push((line, &source[begin..at]));
                begin = source.len();
                let mut escaped = false;
                for (at, inner) in characters.by_ref() {
                    line += usize::from(inner == '\n');
                    let ends = match character {
                        '#' => inner == '\n',
                        '"' => (inner == '"' && !escaped) || inner == '\n',
                        _ => inner == '`',
                    };
                    escaped = inner == '\\' && !escaped;
                    if ends {
                        begin = at + 1;
                        break;
                    }
                }
            }
            _ => {}
        }
    }
    found.push((line, &source[begin..]));
    found
}
