//! The folder of an embedded database: who may read it, and what is done when it is not what it
//! should be.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::database::{Database, Engine, MASTER_KEY};
use crate::server::{Server, refused, serve};

const OTHER_KEY: &str = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b";

/// A database that a server has used and left.
fn used() -> Database {
    let database = Database::sqlite();
    let server = Server::start(&database, &[]);
    let agent = server.agent("steady");
    server.token(&agent);
    server.terminate();
    database
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[test]
fn secrets_in_files_are_for_their_owner_only_whatever_the_umask() {
    for umask in ["000", "022", "077"] {
        let database = Database::sqlite();
        let serve = serve(&database, &[]);
        let mut command = Command::new("sh");
        command.args(["-c", r#"umask "$0"; exec "$@""#, umask]).arg(serve.get_program());
        command.args(serve.get_args()).current_dir(database.folder.path()).env_clear();
        let settings = serve.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.envs(settings.filter(|(name, _)| *name != "BOOTSTRAP_ADMIN_TOKEN"));
        let server = Server::spawn(&mut command);
        for name in ["master-key", "bootstrap-token"] {
            assert_eq!(mode(&database.data().join(name)), 0o600, "{name}, umask {umask}");
        }
        drop(server);
        // A second start leaves them as they are.
        Server::spawn(&mut command);
        for name in ["master-key", "bootstrap-token"] {
            assert_eq!(mode(&database.data().join(name)), 0o600, "{name}, umask {umask}");
        }
    }
}

#[test]
fn another_master_key_than_the_databases_own_is_refused_and_neither_is_shown() {
    let database = Database::create();
    let key = ("MASTER_KEY", MASTER_KEY);
    let server = Server::start(&database, &[key]);
    let agent = server.agent("steady");
    let token = server.token(&agent);
    server.terminate();

    let reason = refused(&mut serve(&database, &[("MASTER_KEY", OTHER_KEY)]));
    assert!(reason.starts_with("error: MASTER_KEY does not open the key ring"), "{reason}");
    assert!(!reason.contains(OTHER_KEY) && !reason.contains(MASTER_KEY), "{reason}");

    let server = Server::start(&database, &[key]);
    assert!(server.is_live(&token), "the refused start changed nothing");
}

#[test]
fn a_master_key_file_that_is_lost_or_spoiled_is_named_and_can_be_put_back() {
    let database = used();
    let file = database.data().join("master-key");
    let kept = fs::read_to_string(&file).unwrap();

    fs::write(&file, "not a key\n").unwrap();
    let reason = refused(&mut serve(&database, &[]));
    assert!(reason.starts_with("error: MASTER_KEY: ") && reason.contains("master-key"), "{reason}");
    assert!(!reason.contains("not a key"), "{reason}");

    fs::write(&file, format!("{OTHER_KEY}\n")).unwrap();
    let reason = refused(&mut serve(&database, &[]));
    assert!(reason.starts_with("error: MASTER_KEY does not open the key ring"), "{reason}");

    fs::remove_file(&file).unwrap();
    let reason = refused(&mut serve(&database, &[]));
    assert!(
        reason.starts_with("error: MASTER_KEY: ") && reason.contains("put it back"),
        "{reason}"
    );
    assert!(!file.exists(), "another key would look like the right one");

    fs::write(&file, kept).unwrap();
    Server::start(&database, &[]).agent("next");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let database = Database::sqlite();
    // Where a folder should be is a file; this stops the superuser, too.
    fs::write(database.data(), "").unwrap();
    let reason = refused(&mut serve(&database, &[]));
    assert!(reason.starts_with("error: DATABASE_URL: "), "{reason}");
    assert!(reason.contains(database.data().to_str().unwrap()), "{reason}");

    let database = used();
    fs::set_permissions(database.data(), fs::Permissions::from_mode(0o500)).unwrap();
    let probe = database.data().join("probe");
    if fs::write(&probe, "").is_ok() {
        println!("read-only folders were not tried: the superuser may write anywhere");
        return;
    }
    let reason = refused(&mut serve(&database, &[]));
    fs::set_permissions(database.data(), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(reason.starts_with("error: DATABASE_URL: "), "{reason}");
    assert!(reason.contains(database.data().to_str().unwrap()), "{reason}");
}

#[test]
fn a_file_that_is_no_database_is_named_and_left_alone() {
    let database = Database::sqlite();
    fs::create_dir_all(database.data()).unwrap();
    let text = "Dear diary, this is not a database.\n".repeat(1000);
    fs::write(database.file(), &text).unwrap();
    let reason = refused(&mut serve(&database, &[]));
    assert!(reason.starts_with("error: DATABASE_URL: "), "{reason}");
    assert!(reason.contains("not a database"), "{reason}");
    assert_eq!(fs::read_to_string(database.file()).unwrap(), text);
}

#[test]
fn a_database_whose_header_or_pages_are_spoiled_is_refused_or_fails_in_words() {
    // The header; the schema's page; every page behind it.
    for (from, to) in [(0, 16), (16, 4096), (4096, u64::MAX)] {
        let database = used();
        spoil(&database.file(), from, to);
        let reason = refused(&mut serve(&database, &[]));
        assert!(reason.starts_with("error: DATABASE_URL: "), "{from}: {reason}");
    }
}

#[test]
fn a_database_that_was_cut_short_is_refused() {
    let database = used();
    let file = OpenOptions::new().write(true).open(database.file()).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let reason = refused(&mut serve(&database, &[]));
    assert!(reason.starts_with("error: DATABASE_URL: "), "{reason}");
}

/// Half a write-ahead log is what a crash leaves behind: its whole part counts, the rest does not.
#[test]
fn a_log_that_was_cut_short_loses_its_end_and_nothing_else() {
    let database = Database::sqlite();
    assert_eq!(database.engine, Engine::Sqlite);
    let mut server = Server::start(&database, &[]);
    let agent = server.agent("steady");
    server.process.kill();
    let log = database.data().join("countersign.db-wal");
    let length = fs::metadata(&log).unwrap().len();
    OpenOptions::new().write(true).open(&log).unwrap().set_len(length - 100).unwrap();

    let server = Server::start(&database, &[]);
    crate::ledger::Ledger::default().read_on(&database);
    // The credential was the last thing in it.
    let credentials = format!("/api/v1/agents/{}/credentials", agent.id);
    let listed = server.ask(&crate::http::get(&credentials).bearer(crate::server::OPERATOR));
    assert_eq!(listed.expect(200)["total"], 0);
}

fn spoil(file: &Path, from: u64, to: u64) {
    let mut file = OpenOptions::new().write(true).open(file).unwrap();
    let to = to.min(file.metadata().unwrap().len());
    file.seek(SeekFrom::Start(from)).unwrap();
    file.write_all(&vec![0xa5; usize::try_from(to - from).unwrap()]).unwrap();
}
