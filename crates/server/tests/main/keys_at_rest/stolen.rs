//! All bytes of the database, searched for what must not be in it.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_ground::keyring::MasterKey;
use countersign_ground::params;
use countersign_ground::secret::SealedSecret;
use serde_json::json;
use tokio_postgres::NoTls;

use super::{KEY, app_with_ring};
use crate::support::{Engine, MACHINE, OPERATOR, TestApp};

/// Every byte of every file of the database; with PostgreSQL every row of every table as text.
async fn everything(app: &TestApp) -> Vec<u8> {
    if Engine::current() == Engine::Sqlite {
        let files = std::fs::read_dir(app.database.folder.path()).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        return paths.flat_map(|path| std::fs::read(path).unwrap()).collect();
    }
    let (client, connection) =
        tokio_postgres::connect(&app.database.direct_url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let tables = "SELECT tablename::TEXT FROM pg_tables WHERE schemaname = 'public'";
    let mut dump = Vec::new();
    for table in client.query_typed(tables, &[]).await.unwrap() {
        let rows = format!("SELECT t::TEXT FROM {} AS t", table.get::<_, &str>(0));
        for row in client.query_typed(&rows, &[]).await.unwrap() {
            dump.extend_from_slice(row.get::<_, &str>(0).as_bytes());
        }
    }
    dump
}

/// Whether the bytes are there, as they are or as any text that somebody might have made of them.
fn holds(dump: &[u8], secret: &[u8]) -> bool {
    let shapes = [
        secret.to_vec(),
        hex::encode(secret).into_bytes(),
        hex::encode_upper(secret).into_bytes(),
        STANDARD.encode(secret).trim_end_matches('=').as_bytes().to_vec(),
        URL_SAFE_NO_PAD.encode(secret).into_bytes(),
    ];
    shapes.iter().any(|shape| dump.windows(shape.len()).any(|window| window == shape))
}

/// The ring's keys in the clear.
async fn ring(app: &TestApp) -> Vec<Vec<u8>> {
    let master = MasterKey::from_hex(KEY).unwrap();
    let find = "SELECT purpose, version, sealed FROM signing_keys";
    let rows = app.server.app.db.query(find, params![]).await.unwrap();
    let open = |mut row: countersign_ground::db::Row| {
        let (purpose, version): (String, i64) = (row.take().unwrap(), row.take().unwrap());
        let sealed: SealedSecret = row.take().unwrap();
        let place = format!("{purpose}|||{version}");
        master.open(&place, master.id(), &sealed).unwrap().to_vec()
    };
    rows.into_iter().map(open).collect()
}

#[tokio::test]
async fn a_stolen_database_holds_nothing_to_act_with() {
    let app = app_with_ring().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    let path = format!("/api/v1/agents/{}/credentials/{}/rotate", agent.id, agent.credential);
    let rotated = app.operator().post(&path, json!({"graceSeconds": 60})).await.expect(200);
    let rotated = rotated["clientSecret"].as_str().unwrap();
    assert!(app.is_live(&token).await);
    app.operator().form("/api/v1/token/revoke", &[("token", &token)]).await.expect(200);
    let keys = ring(&app).await;
    assert_eq!(keys.len(), 3, "a digest key and two token keys");

    let dump = everything(&app).await;
    assert!(holds(&dump, b"screener@agents.example"), "the search finds what is there");
    let secrets = [OPERATOR, MACHINE, &agent.secret, rotated, &token, KEY];
    for secret in secrets {
        // Without the prefix, too, and a token's parts by themselves.
        for part in secret.split(['_', '.']).filter(|part| part.len() >= 32) {
            assert!(!holds(&dump, part.as_bytes()), "{secret}");
            let bytes = hex::decode(part).unwrap_or_else(|_| part.into());
            assert!(!holds(&dump, &bytes), "{secret}");
        }
    }
    // Any 32 bytes of a key: the private part by itself is enough.
    let raw: HashSet<_> = dump.windows(32).collect();
    let in_hex: HashSet<_> = dump.windows(64).collect();
    for key in keys {
        assert!(!holds(&dump, &key));
        for piece in key.windows(32) {
            assert!(!raw.contains(piece) && !in_hex.contains(hex::encode(piece).as_bytes()));
        }
    }
}
