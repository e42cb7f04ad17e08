//! The schema's steps: the same in both dialects, never changed, never half taken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Applied, Migration, migrate};
use countersign_server::migrations::MIGRATIONS;

use crate::support::Database;

/// What a dialect's files say: their names, and the columns of every table.
#[derive(Debug, PartialEq, Eq)]
struct Schema {
    files: Vec<String>,
    tables: BTreeMap<String, BTreeSet<String>>,
    indexes: BTreeSet<String>,
    triggers: BTreeSet<String>,
}

impl Schema {
    fn read(dialect: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("migrations").join(dialect);
        let names = std::fs::read_dir(&folder).unwrap();
        let mut files: Vec<String> =
            names.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        let mut schema = Self {
            files: Vec::new(),
            tables: BTreeMap::new(),
            indexes: BTreeSet::new(),
            triggers: BTreeSet::new(),
        };
        for file in files {
            let text = std::fs::read_to_string(folder.join(&file)).unwrap();
            let code: Vec<&str> =
                text.lines().map(|line| line.split("--").next().unwrap()).collect();
            let code = without(&without(&code.join(" "), "$$", "$$"), " BEGIN ", " END;");
            for statement in code.split(';') {
                schema.apply(statement);
            }
            schema.files.push(file);
        }
        schema
    }

    fn apply(&mut self, statement: &str) {
        let words: Vec<&str> = statement.split_whitespace().collect();
        match *words {
            [] | ["INSERT" | "UPDATE" | "DELETE", ..] => {}
            // What a trigger does is written in each dialect's own words, and tested by what it did.
            ["CREATE", "FUNCTION", ..] => {}
            ["CREATE", "TRIGGER", name, ..] => {
                self.triggers.insert(name.to_owned());
            }
            ["CREATE", "TABLE", name, ..] => {
                let (_, body) = statement.split_once('(').unwrap();
                let columns = parts(body.rsplit_once(')').unwrap().0);
                self.tables.insert(name.to_owned(), columns);
            }
            ["ALTER", "TABLE", table, "ADD", "COLUMN", column, ..] => {
                self.tables.get_mut(table).unwrap().insert(column.to_owned());
            }
            ["DROP", "TABLE", name] => {
                self.tables.remove(name).unwrap();
            }
            // How a column is stored is each engine's own affair.
            ["ALTER", "TABLE", _, "ALTER", "COLUMN", _, "SET", "STORAGE", ..] => {}
            ["CREATE", "INDEX", name, ..] | ["CREATE", "UNIQUE", "INDEX", name, ..] => {
                self.indexes.insert(name.to_owned());
            }
            _ => panic!("this test does not know what it does: {statement}"),
        }
    }
}

/// A text without what stands from `start` to `end`, each time; a statement's end stays one.
fn without(text: &str, start: &str, end: &str) -> String {
    let mut parts = text.split(start);
    let mut left = parts.next().unwrap().to_owned();
    if start == end {
        for (i, part) in parts.enumerate() {
            left.push_str(if i % 2 == 1 { part } else { " " });
        }
    } else {
        for part in parts {
            left.push(';');
            left.push_str(part.split_once(end).unwrap().1);
        }
    }
    left
}

/// The columns among the parts of a table's definition, commas within brackets left alone.
fn parts(body: &str) -> BTreeSet<String> {
    let mut depth = 0;
    let split = body.split(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    let first = split.map(|part| part.split_whitespace().next().unwrap());
    let constraints = ["PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "CONSTRAINT"];
    first.filter(|word| !constraints.contains(word)).map(str::to_owned).collect()
}

#[test]
fn both_dialects_have_the_same_files_tables_and_columns() {
    let (sqlite, postgres) = (Schema::read("sqlite"), Schema::read("postgres"));
    assert!(sqlite.tables["agents"].contains("email"), "the files are understood: {sqlite:?}");
    assert_eq!(sqlite, postgres);
}

#[test]
fn every_file_is_a_step_and_they_are_taken_in_the_order_of_their_numbers() {
    let files = Schema::read("sqlite").files;
    let steps: Vec<String> = MIGRATIONS.iter().map(|step| format!("{}.sql", step.name)).collect();
    assert_eq!(steps, files);
    for (n, name) in steps.iter().enumerate() {
        assert!(name.starts_with(&format!("{:04}_", n + 1)), "{name} is not number {}", n + 1);
    }
}

const fn step(name: &'static str, text: &'static str) -> Migration {
    Migration { name, sqlite: text, postgres: text }
}

const ONE: Migration = step("0001_one", "CREATE TABLE one (id BIGINT PRIMARY KEY);");
const TWO: Migration = step("0002_two", "CREATE TABLE two (id BIGINT PRIMARY KEY);");

/// A database that no server has seen.
struct Empty(Database);

impl Empty {
    async fn new() -> Self {
        Self(Database::create().await)
    }

    async fn take(&self, steps: &'static [Migration]) -> db::Result<Applied> {
        migrate(&self.0.direct_url.parse().unwrap(), steps, Time(0)).await
    }
}

#[tokio::test]
async fn a_step_is_taken_once() {
    let empty = Empty::new().await;
    let applied = empty.take(&[ONE]).await.unwrap();
    assert_eq!((applied.applied, applied.already), (vec!["0001_one"], 0));
    let applied = empty.take(&[ONE, TWO]).await.unwrap();
    assert_eq!((applied.applied, applied.already), (vec!["0002_two"], 1));
    let applied = empty.take(&[ONE, TWO]).await.unwrap();
    assert_eq!((applied.applied, applied.already), (vec![], 2));
}

#[tokio::test]
async fn an_applied_step_whose_text_changed_is_refused() {
    const CHANGED: Migration =
        step("0001_one", "CREATE TABLE one (id BIGINT PRIMARY KEY, more TEXT);");
    let empty = Empty::new().await;
    empty.take(&[ONE]).await.unwrap();
    let refused = empty.take(&[CHANGED, TWO]).await.unwrap_err().to_string();
    assert!(refused.contains("`0001_one`"), "{refused}");
    assert_eq!(empty.take(&[ONE, TWO]).await.unwrap().applied, ["0002_two"], "nothing was taken");
}

#[tokio::test]
async fn a_step_that_fails_leaves_the_schema_as_it_was() {
    const BROKEN: Migration = step(
        "0003_half",
        "CREATE TABLE half (id BIGINT PRIMARY KEY);
         INSERT INTO one (id) VALUES (7);
         INSERT INTO nowhere (id) VALUES (1);",
    );
    // Would fail over whatever the broken one had left behind.
    const MENDED: Migration = step(
        "0003_half",
        "CREATE TABLE half (id BIGINT PRIMARY KEY);
         INSERT INTO one (id) VALUES (7);",
    );
    const FOUR: Migration = step("0004_four", "CREATE TABLE four (id BIGINT PRIMARY KEY);");
    let empty = Empty::new().await;
    empty.take(&[ONE]).await.unwrap();
    let failed = empty.take(&[ONE, TWO, BROKEN, FOUR]).await.unwrap_err().to_string();
    assert!(failed.contains("`0003_half`"), "{failed}");
    let applied = empty.take(&[ONE, TWO, MENDED, FOUR]).await.unwrap();
    assert_eq!(applied.applied, ["0003_half", "0004_four"], "those before it had been taken");
}

#[tokio::test]
async fn two_nodes_that_migrate_at_once_take_each_step_once() {
    const STEPS: &[Migration] = &[ONE, TWO];
    let empty = Empty::new().await;
    let (one, other) = tokio::join!(empty.take(STEPS), empty.take(STEPS));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.applied.len() + other.applied.len(), 2);
    assert_eq!(one.already + other.already, 2);
}
