//! The schema, step by step. An applied step never changes; add a new one.

use countersign_ground::db::Migration;

macro_rules! migrations {
    ($($name:literal),* $(,)?) => {
        /// Every step, in order.
        pub const MIGRATIONS: &[Migration] = &[$(Migration {
            name: $name,
            sqlite: include_str!(concat!("../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $name, ".sql")),
        }),*];
    };
}

migrations![
    "0001_record",
    "0002_identity",
    "0003_identity_whole",
    "0004_seals",
    "0005_nodes",
    "0006_vault",
    "0007_documents",
    "0008_guards",
];
