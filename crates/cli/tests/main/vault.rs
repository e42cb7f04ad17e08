//! Vault, as a server in a process of its own meets it: what it logs, and what a crash leaves.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use serde_json::{Value, json};

use crate::database::Database;
use crate::http::{delete, get, post};
use crate::server::{Agent, OPERATOR, Server, ask_token, new_agent, serve};

const TOKEN: &str = "hvs.token-of-the-tests-never-to-be-seen";

/// One question: its first line, all of its head, and its body.
struct Asked {
    line: String,
    head: String,
    body: String,
}

/// What answers; `None` hangs up.
type Answering = dyn Fn(&Asked) -> Option<(u16, Value)> + Send + Sync;

/// Something that listens where Vault should; gives its address.
fn vault(answering: Box<Answering>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answering: &'static Answering = Box::leak(answering);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || while talk(&stream, answering).is_some() {});
        }
    });
    address
}

fn talk(mut stream: &TcpStream, answering: &Answering) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().ok()?;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let line = head.lines().next()?.to_owned();
    let (status, said) = answering(&Asked { line, head, body: String::from_utf8(body).ok()? })?;
    let said = said.to_string();
    let length = said.len();
    let head = format!("HTTP/1.1 {status} S\r\ncontent-type: application/json\r\n");
    stream.write_all(format!("{head}content-length: {length}\r\n\r\n{said}").as_bytes()).ok()
}

fn settings(address: &str) -> [(&str, &str); 2] {
    [("VAULT_ADDR", address), ("VAULT_TOKEN", TOKEN)]
}

/// An agent without a credential: where its credentials are.
fn agent(server: &Server) -> String {
    let made = server.ask(&post("/api/v1/agents", &new_agent("screener")).bearer(OPERATOR));
    format!("/api/v1/agents/{}/credentials", made.expect(201)["agentId"].as_str().unwrap())
}

#[test]
fn what_repeats_every_secret_gets_none_into_the_log() {
    let repeating = |asked: &Asked| {
        let said = format!("{}{}", asked.head, asked.body);
        Some((400, json!({"errors": [said]})))
    };
    let address = vault(Box::new(repeating));
    let database = Database::create();
    let mut command = serve(&database, &settings(&address));
    command.envs([("LOG_LEVEL", "trace"), ("LOG_FORMAT", "json")]);
    let server = Server::spawn(&mut command);
    let credentials = agent(&server);
    let answer = server.ask(&post(&credentials, &json!({})).bearer(OPERATOR));
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("DEPENDENCY_UNAVAILABLE")));
    let config = server.ask(&get("/api/v1/config").bearer(OPERATOR));
    let (status, log) = server.terminate();
    assert_eq!(status.code(), Some(0));
    for text in log.iter().chain([&answer.body, &config.body]) {
        assert!(!text.contains(TOKEN) && !text.contains("sk_live_"), "{text}");
    }
    let caused = |line: &&String| line.contains("\"cause\":\"vault: answered 400");
    assert_eq!(log.iter().filter(caused).count(), 1, "the cause is in the log");
}

/// Keeps one secret, and tells when a version was written; that is then not answered any more.
fn keeping() -> (String, Receiver<(i64, String)>) {
    let (told, written): (Sender<(i64, String)>, _) = channel();
    let kept: std::sync::Mutex<Vec<Value>> = Default::default();
    let address = vault(Box::new(move |asked| {
        let mut kept = kept.lock().unwrap();
        let version = |data: &Value| json!({"version": data, "destroyed": false});
        if asked.line.starts_with("POST /v1/secret/data/") {
            kept.push(serde_json::from_str::<Value>(&asked.body).ok()?["data"].clone());
            let secret = kept.last()?["client_secret"].as_str()?.to_owned();
            let number = i64::try_from(kept.len()).ok()?;
            told.send((number, secret)).ok()?;
            drop(kept);
            if number > 1 {
                loop {
                    thread::park();
                }
            }
            return Some((200, json!({"data": version(&json!(number))})));
        }
        if asked.line.starts_with("GET /v1/secret/data/") && asked.line.contains("version=1 ") {
            let data = json!({"data": kept.first(), "metadata": version(&json!(1))});
            return Some((200, json!({"data": data})));
        }
        if asked.line.starts_with("GET /v1/secret/metadata/") {
            let data = json!({"current_version": kept.len(), "versions": {}});
            return Some((200, json!({"data": data})));
        }
        None
    }));
    (address, written)
}

#[test]
fn a_crash_between_vault_and_the_database_leaves_the_old_secret_in_force() {
    let (address, written) = keeping();
    let database = Database::create();
    let mut server = Server::start(&database, &settings(&address));
    let credentials = agent(&server);
    let made = server.ask(&post(&credentials, &json!({})).bearer(OPERATOR)).expect(201);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let old = Agent {
        id: text("clientId"),
        credential: text("credentialId"),
        secret: text("clientSecret"),
    };
    assert_eq!(written.recv().unwrap(), (1, old.secret.clone()));
    let rotate = format!("{credentials}/{}/rotate", old.credential);
    let mut connection = server.connect();
    let asking = thread::spawn(move || connection.ask(&post(&rotate, &json!({})).bearer(OPERATOR)));
    let (number, lost) = written.recv().unwrap();
    assert_eq!(number, 2);
    server.process.kill();
    assert!(asking.join().unwrap().is_err(), "nobody was told");

    let server = Server::start(&database, &settings(&address));
    server.ask(&ask_token(&Agent { secret: lost, ..old.clone() })).oauth(401, "invalid_client");
    server.ask(&ask_token(&old)).expect(200);
    let again = format!("{credentials}/{}/rotate", old.credential);
    let again = server.ask(&post(&again, &json!({})).bearer(OPERATOR));
    again.problem(409, "CONFLICT");
    let revoked =
        server.ask(&delete(&format!("{credentials}/{}", old.credential)).bearer(OPERATOR));
    assert_eq!(revoked.status, 204, "nothing stands in the way of that");
    server.ask(&ask_token(&old)).oauth(401, "invalid_client");
}
