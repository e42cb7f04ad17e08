//! Keys and secrets at rest (contract 1.4, 2.2, 2.4): the ring opens only as it was sealed, and
//! whoever steals the database gets nothing to act with.

mod stolen;

use std::time::Duration;

use countersign_ground::clock::Clock;
use countersign_ground::config::{Config, Sources};
use countersign_ground::db::{Db, Error, Value};
use countersign_ground::entropy::Entropy;
use countersign_ground::params;
use countersign_server::{Environs, Server, StartError};
use insta::assert_snapshot;
use tokio::time::timeout;

use crate::support::{Database, START, TestApp};

const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";
const OTHER: &str = "0808080808080808080808080808080808080808080808080808080808080808";

/// A server whose next token key is made.
async fn app_with_ring() -> TestApp {
    let app = TestApp::with(&[("MASTER_KEY", KEY)]).await;
    let made = async {
        while app.server.app.keys.token_keys().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), made).await.expect("the next key is made");
    app
}

fn config(database: &Database, master_key: &str) -> Config {
    let mut flags = database.settings();
    flags.push(("MASTER_KEY".into(), master_key.into()));
    flags.push(("PORT".into(), "0".into()));
    flags.push(("JWT_ALG".into(), "ES256".into()));
    flags.push(("BOOTSTRAP_ADMIN_TOKEN".into(), crate::support::OPERATOR.into()));
    Config::load(&Sources { flags, ..Sources::default() }).unwrap()
}

/// Starts a server on what another has left.
async fn start(database: &Database, master_key: &str) -> Result<Server, StartError> {
    let environs = Environs { clock: Clock::manual(START), entropy: Entropy::System };
    Server::start(config(database, master_key), environs).await
}

async fn execute(db: &Db, sql: &'static str, params: Vec<Value>) -> u64 {
    let changed =
        db.write(params, move |tx, params| Box::pin(async move { tx.execute(sql, params).await }));
    changed.await.map_err(|error: Error| error).unwrap()
}

/// Stops the server after a change to its ring, and tells why another can't be started.
async fn refusal(app: TestApp, sql: &'static str) -> StartError {
    assert!(execute(&app.server.app.db, sql, Vec::new()).await > 0);
    let TestApp { server, database, .. } = app;
    server.stop().await;
    match start(&database, KEY).await {
        Err(error) => error,
        Ok(_) => panic!("it started: {sql}"),
    }
}

#[tokio::test]
async fn what_was_sealed_opens_again() {
    let app = app_with_ring().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let TestApp { server, database, .. } = app;
    server.stop().await;
    let server = start(&database, KEY).await.unwrap();
    let now = server.app.clock.now();
    assert!(server.app.law.client(agent.id.parse().unwrap(), &agent.secret, now).is_some());
}

#[tokio::test]
async fn another_master_key_does_not_open_the_ring() {
    let app = app_with_ring().await;
    let TestApp { server, database, .. } = app;
    server.stop().await;
    let Err(refused) = start(&database, OTHER).await else { panic!("it started") };
    assert_snapshot!(refused, @"MASTER_KEY does not open the key ring in this database: it was sealed under master key `2032506694eeb78d`, this one is `56e2f63960bf8c4a`");
    start(&database, KEY).await.unwrap();
}

#[tokio::test]
async fn a_sealed_key_that_was_moved_to_another_row_does_not_open() {
    for sql in [
        "UPDATE signing_keys SET version = 9 WHERE purpose = 'token' AND version = 1",
        "UPDATE signing_keys SET version = 9 WHERE purpose = 'digest'",
        "UPDATE signing_keys SET sealed =
                (SELECT sealed FROM signing_keys WHERE purpose = 'token' AND version = 2)
          WHERE purpose = 'token' AND version = 1",
        "UPDATE signing_keys SET sealed =
                (SELECT sealed FROM signing_keys WHERE purpose = 'token' AND version = 1)
          WHERE purpose = 'digest'",
    ] {
        let refused = refusal(app_with_ring().await, sql).await.to_string();
        let told = "MASTER_KEY does not open the key ring in this database: \
                    the sealed value was changed or belongs to another row";
        assert_eq!(refused, told, "{sql}");
    }
}

#[tokio::test]
async fn a_sealed_key_with_one_byte_changed_does_not_open() {
    for purpose in ["token", "digest"] {
        for place in ["nonce", "text", "tag"] {
            let app = app_with_ring().await;
            let db = &app.server.app.db;
            let find = "SELECT sealed FROM signing_keys WHERE purpose = $1 AND version = 1";
            let mut row = db.query_opt(find, params![purpose]).await.unwrap().unwrap();
            let mut sealed: Vec<u8> = row.take().unwrap();
            let at = match place {
                "nonce" => 0,
                "text" => 12 + 5,
                _ => sealed.len() - 1,
            };
            sealed[at] ^= 1;
            let sql = "UPDATE signing_keys SET sealed = $1 WHERE purpose = $2 AND version = 1";
            execute(db, sql, vec![sealed.as_slice().into(), purpose.into()]).await;
            let TestApp { server, database, .. } = app;
            server.stop().await;
            let refused = start(&database, KEY).await.err();
            assert!(
                matches!(refused, Some(StartError::Ring(_))),
                "{purpose}, {place}: {refused:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_sealed_key_under_another_algorithm_is_not_usable() {
    let sql = "UPDATE signing_keys SET alg = 'EdDSA' WHERE purpose = 'token' AND version = 1";
    assert_snapshot!(refusal(app_with_ring().await, sql).await, @"a key in the ring is not usable: not a private key of its algorithm");
}
