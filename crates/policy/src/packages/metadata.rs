//! The annotation above a file's `package` line (Open Policy Agent, Annotations): which package it is, and
//! what it is bound to.

use std::sync::Arc;

use serde::Deserialize;

use crate::fault::Fault;

/// What `custom` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Custom {
    pub(super) id: Arc<str>,
    pub(super) version: Arc<str>,
    #[serde(default)]
    pub(super) systems: Vec<Arc<str>>,
    #[serde(default)]
    pub(super) resource_types: Vec<Arc<str>>,
}

#[derive(Debug, Deserialize)]
struct Annotation {
    #[serde(default)]
    scope: Option<String>,
    custom: Custom,
}

/// The longest of a name.
const LONGEST: usize = 128;

/// Reads what stands above the `package` line.
pub(super) fn read(file: &str, source: &str) -> Result<Custom, Fault> {
    let (line, block) = block(source).ok_or_else(|| Fault {
        at: file.to_owned(),
        what:
            "no metadata: above the `package` line belong the comments `# METADATA`, `# custom:`, \
               `#   id: …`, `#   version: …`, and `#   systems: […]` or `#   resource_types: […]`"
                .to_owned(),
    })?;
    let fault = |what: String| Fault { at: format!("{file}:{line}"), what };
    let annotation: Annotation = serde_saphyr::from_str(&block).map_err(|error| {
        fault(format!("the metadata can't be read: {}", first_line(&error.to_string())))
    })?;
    if !matches!(annotation.scope.as_deref(), None | Some("package" | "subpackages")) {
        return Err(fault(
            "the metadata above the `package` line must be of the scope `package`".to_owned(),
        ));
    }
    let custom = annotation.custom;
    let names = custom.systems.iter().chain(&custom.resource_types);
    for name in [&custom.id, &custom.version].into_iter().chain(names) {
        if name.is_empty() || name.len() > LONGEST || name.chars().any(char::is_control) {
            let what = format!(
                "an id, a version and a name are 1 to {LONGEST} bytes long, without control characters"
            );
            return Err(fault(what));
        }
    }
    Ok(custom)
}

/// The block right above the `package` line, without its marks, and the line that it begins in.
fn block(source: &str) -> Option<(usize, String)> {
    let mut found = None;
    for (at, line) in source.lines().enumerate() {
        let line = line.trim_end();
        match line.strip_prefix('#') {
            Some(mark) if mark.trim() == "METADATA" => found = Some((at + 1, String::new())),
            Some(said) => {
                if let Some((_, text)) = &mut found {
                    text.push_str(said);
                    text.push('\n');
                }
            }
            None if line == "package"
                || line.starts_with("package ")
                || line.starts_with("package\t") =>
            {
                return found;
            }
            None => found = None,
        }
    }
    None
}

/// What a parser says after its first line repeats the text.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).chars().take(200).collect()
}
