//! Listings: one row an item, columns by the member they show.

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width};
use serde_json::Value;

use super::{cell, lines};

/// Between two columns.
const GAP: u16 = 2;

/// Rows of `items`; a column is its title and the member it shows.
///
/// Without borders, so that a column can be cut out. Where the terminal is too narrow each item is
/// a block of lines instead: an id broken over lines can't be copied.
pub(crate) fn table(columns: &[(&str, &str)], items: &[Value]) -> String {
    let table = rows(columns, items);
    match table.width() {
        Some(terminal) if natural_width(&table) > terminal => blocks(columns, items),
        _ => table.trim_fmt(),
    }
}

/// The same for items whose cells are short words: where the terminal is too narrow these stand under
/// one another, so that a column stays a column.
pub(crate) fn matrix(columns: &[(&str, &str)], items: &[Value]) -> String {
    let table = rows(columns, items);
    match table.width() {
        Some(terminal) if natural_width(&table) > terminal => {
            broken(table, terminal).unwrap_or_else(|| blocks(columns, items))
        }
        _ => table.trim_fmt(),
    }
}

/// Broken between words; nothing when that is not narrow enough.
fn broken(mut table: Table, terminal: u16) -> Option<String> {
    let longest = |column| {
        let cells = table.column_cells_with_header_iter(column).flatten();
        let words = cells.filter_map(|cell| longest_word(&cell.content())).max();
        u16::try_from(words.unwrap_or(0)).unwrap_or(u16::MAX).saturating_add(GAP)
    };
    let widths: Vec<u16> = table.column_iter().map(|column| column.index).map(longest).collect();
    if widths.iter().copied().fold(0, u16::saturating_add) > terminal {
        return None;
    }
    let least = |width| ColumnConstraint::LowerBoundary(Width::Fixed(width));
    table.set_constraints(widths.into_iter().map(least));
    table.set_width(terminal).set_content_arrangement(ContentArrangement::Dynamic);
    Some(table.trim_fmt())
}

fn longest_word(text: &str) -> Option<usize> {
    text.split(' ').map(|word| word.chars().count()).max()
}

fn rows(columns: &[(&str, &str)], items: &[Value]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(columns.iter().map(|(title, _)| *title));
    for item in items {
        table.add_row(columns.iter().map(|(_, member)| cell(&item[*member])));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    table
}

fn natural_width(table: &Table) -> u16 {
    let with_gaps =
        table.column_max_content_widths().into_iter().map(|width| width.saturating_add(GAP));
    with_gaps.fold(0, u16::saturating_add).saturating_sub(GAP)
}

fn blocks(columns: &[(&str, &str)], items: &[Value]) -> String {
    let block = |item: &Value| {
        lines(columns.iter().map(|(title, member)| ((*title).to_owned(), cell(&item[*member]))))
    };
    items.iter().map(block).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;

    use super::*;

    const COLUMNS: &[(&str, &str)] = &[("KEY", "kid"), ("ALG", "alg"), ("LAST USED", "lastUsedAt")];

    fn keys() -> [Value; 2] {
        [
            json!({"kid": "k1", "alg": "RS256", "lastUsedAt": "2026-01-31T12:00:00.000Z"}),
            json!({"kid": "key-2", "alg": "EdDSA", "lastUsedAt": null}),
        ]
    }

    #[test]
    fn a_listing_is_columns_without_borders() {
        assert_snapshot!(table(COLUMNS, &keys()), @r"
        KEY    ALG    LAST USED
        k1     RS256  2026-01-31T12:00:00.000Z
        key-2  EdDSA  -
        ");
        assert_eq!(natural_width(&rows(COLUMNS, &keys())), 38);
    }

    #[test]
    fn a_narrow_terminal_gets_a_block_an_item() {
        assert_snapshot!(blocks(COLUMNS, &keys()), @r"
        KEY        k1
        ALG        RS256
        LAST USED  2026-01-31T12:00:00.000Z

        KEY        key-2
        ALG        EdDSA
        LAST USED  -
        ");
    }

    #[test]
    fn a_matrix_is_broken_between_words_while_they_fit() {
        let columns = [("RESOURCE", "resource"), ("ADMIN", "admin"), ("DEV", "dev")];
        let items = [
            json!({"resource": "memory_pin", "admin": ["read", "write", "delete"], "dev": ["read"]}),
            json!({"resource": "keys", "admin": ["read", "write"], "dev": null}),
        ];
        assert_snapshot!(broken(rows(&columns, &items), 32).unwrap(), @r"
        RESOURCE    ADMIN         DEV
        memory_pin  read, write,  read
                    delete
        keys        read, write   -
        ");
        assert_eq!(broken(rows(&columns, &items), 25), None);
    }
}
