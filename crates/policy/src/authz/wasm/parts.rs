//! The parts of a module, before it is compiled: what could keep something from one question to the next is made
//! visible, so that it can be put back, or refused.

use wasmparser::{ExternalKind, Operator, Parser, Payload, TypeRef};

/// How the variables of a module are called for us.
pub(super) const VARIABLE: &str = "countersign variable ";

/// The module with its variables exported.
pub(super) fn with_variables(module: &[u8]) -> Result<Vec<u8>, String> {
    let bad = |error: wasmparser::BinaryReaderError| format!("is no module: {error}");
    let (mut number, mut variables, mut exports) = (0_u32, Vec::new(), None);
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(bad)? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(bad)?;
                    number += u32::from(matches!(import.ty, TypeRef::Global(_)));
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    if global.map_err(bad)?.ty.mutable {
                        variables.push(number);
                    }
                    number += 1;
                }
            }
            Payload::ExportSection(section) => exports = Some((section.range(), section.count())),
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader().map_err(bad)? {
                    keeps_nothing(&operator.map_err(bad)?)?;
                }
            }
            _ => {}
        }
    }
    let (range, count) = exports.ok_or("exports nothing: OPA's modules do")?;
    let section = module.get(range.clone()).unwrap_or_default();
    let added = u32::try_from(variables.len()).unwrap_or(u32::MAX);
    let mut content = Vec::with_capacity(section.len() + variables.len() * 32);
    number_to(&mut content, count.saturating_add(added));
    content.extend_from_slice(section.get(number_length(section)..).unwrap_or_default());
    for variable in variables {
        let name = format!("{VARIABLE}{variable}");
        number_to(&mut content, u32::try_from(name.len()).unwrap_or_default());
        content.extend_from_slice(name.as_bytes());
        content.push(ExternalKind::Global as u8);
        number_to(&mut content, variable);
    }
    // Before the section stand its kind, which stays, and its length, which does not.
    let kind = kind_before(module, range.start).ok_or("is no module: its exports begin nowhere")?;
    let mut whole = module.get(..=kind).unwrap_or_default().to_vec();
    number_to(&mut whole, u32::try_from(content.len()).map_err(|_| "is too long")?);
    whole.extend(content);
    whole.extend_from_slice(module.get(range.end..).unwrap_or_default());
    Ok(whole)
}

/// Refuses instructions that change what is not put back: tables, and the segments of a module.
fn keeps_nothing(operator: &Operator<'_>) -> Result<(), String> {
    match operator {
        Operator::TableSet { .. }
        | Operator::TableGrow { .. }
        | Operator::TableFill { .. }
        | Operator::TableInit { .. }
        | Operator::TableCopy { .. }
        | Operator::ElemDrop { .. }
        | Operator::DataDrop { .. } => Err(format!(
            "has an instruction that OPA's modules don't, and that would be seen by the next question: {operator:?}"
        )),
        _ => Ok(()),
    }
}

/// Where the kind of a section stands whose content begins there.
fn kind_before(module: &[u8], content: usize) -> Option<usize> {
    const EXPORTS: u8 = 7;
    let header = module.get(..content)?;
    // Its length takes one to five bytes, of which all but the last have the highest bit.
    (1..=5).filter_map(|length| content.checked_sub(length + 1)).find(|&at| {
        let length = header.get(at + 1..).unwrap_or_default();
        header.get(at) == Some(&EXPORTS) && number_length(length) == length.len()
    })
}

/// How many bytes the number takes that these begin with.
fn number_length(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte & 0x80 != 0).count() + 1
}

/// Adds a number as modules write it (LEB128).
fn number_to(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
