//! A server in a process of its own, which ends with the test.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use countersign_ground::clock::Stopwatch;
use serde_json::{Value, json};

use crate::Ran;
use crate::database::Database;
use crate::http::{Answer, Connection, Request, form, get, patch, post};

/// The first operator's token in every test. Made of nothing secret.
pub(crate) const OPERATOR: &str =
    concat!("op_live_", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");

/// How long a process may take to start or to end; a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that does not outlive the test.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Sends `TERM`, `INT`, `STOP` or `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -s {name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// How it ended; `None` when it goes on for longer than `limit`.
    pub(crate) fn end_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let mut status = None;
        within(limit, || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

/// An agent with a credential.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) id: String,
    pub(crate) credential: String,
    pub(crate) secret: String,
}

/// `countersign serve` on `database`, in its folder, with nothing else in its environment than the
/// usual settings and `more`.
pub(crate) fn serve(database: &Database, more: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.arg("serve").env_clear().current_dir(database.folder.path());
    command.envs(database.settings()).envs([
        ("PORT", "0"),
        // The address changes from start to start, the tokens' issuer must not.
        ("ISSUER_URL", "http://countersign.test"),
        // An RSA key takes long to make.
        ("JWT_ALG", "ES256"),
        ("BOOTSTRAP_ADMIN_TOKEN", OPERATOR),
        // A connection to PostgreSQL costs a build without optimisation some 50 ms of hashing; a
        // busy machine needs more, and that is no outage.
        ("DATABASE_POOL_SIZE", "4"),
        ("DATABASE_TIMEOUT_MS", "10000"),
    ]);
    command.envs(more.iter().copied());
    command
}

impl Server {
    pub(crate) fn start(database: &Database, more: &[(&str, &str)]) -> Self {
        Self::spawn(&mut serve(database, more))
    }

    /// Starts a server and waits until it is ready.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut process = Process::spawn(command.stdout(Stdio::null()).stderr(Stdio::piped()));
        let log = Arc::new(Mutex::new(Vec::new()));
        let (told, ready) = channel();
        let lines = BufReader::new(process.child().stderr.take().unwrap());
        let kept = Arc::clone(&log);
        let reader = thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                if let Some(address) = ready_at(&line) {
                    let _ = told.send(address);
                }
                kept.lock().unwrap().push(line);
            }
        });
        let address = wait_for(&ready).unwrap_or_else(|| {
            panic!("the server did not start:\n{}", log.lock().unwrap().join("\n"))
        });
        Self { process, address, log, reader: Some(reader) }
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::to(self.address).unwrap()
    }

    /// Asks on a connection of its own.
    pub(crate) fn ask(&self, request: &Request) -> Answer {
        self.connect().ask(request).unwrap()
    }

    /// Lines of its log so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Asks it to end, and gives how it did with all that it logged.
    pub(crate) fn terminate(mut self) -> (ExitStatus, Vec<String>) {
        self.process.signal("TERM");
        let status = self.process.end_within(PATIENCE).unwrap();
        self.reader.take().unwrap().join().unwrap();
        (status, self.log())
    }

    /// Registers an agent with a credential.
    pub(crate) fn agent(&self, name: &str) -> Agent {
        let made = self.ask(&post("/api/v1/agents", &new_agent(name)).bearer(OPERATOR)).expect(201);
        let id = made["agentId"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/agents/{id}/credentials");
        let made = self.ask(&post(&path, &json!({})).bearer(OPERATOR)).expect(201);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Agent { id, credential: text("credentialId"), secret: text("clientSecret") }
    }

    pub(crate) fn token(&self, agent: &Agent) -> String {
        let answer = self.ask(&ask_token(agent)).expect(200);
        answer["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn is_live(&self, token: &str) -> bool {
        self.ask(&introspect(token)).expect(200)["active"].as_bool().unwrap()
    }

    /// The status of `path`, which answers in any state.
    pub(crate) fn health(&self, path: &str) -> u16 {
        self.ask(&get(path)).status
    }
}

pub(crate) fn new_agent(name: &str) -> Value {
    json!({
        "email": format!("{name}@agents.example"), "agentType": "screener", "version": "1.0.0",
        "capabilities": ["resumes:read"], "owner": "tests", "deploymentEnv": "development",
    })
}

pub(crate) fn ask_token(agent: &Agent) -> Request {
    form("/api/v1/token", &[("grant_type", "client_credentials")]).basic(&agent.id, &agent.secret)
}

pub(crate) fn introspect(token: &str) -> Request {
    form("/api/v1/token/introspect", &[("token", token)]).bearer(OPERATOR)
}

pub(crate) fn change_status(agent: &str, status: &str) -> Request {
    patch(&format!("/api/v1/agents/{agent}"), &json!({"status": status})).bearer(OPERATOR)
}

fn ready_at(line: &str) -> Option<SocketAddr> {
    if !line.contains(r#""message":"ready""#) {
        return None;
    }
    let line: Value = serde_json::from_str(line).ok()?;
    line["address"].as_str()?.parse().ok()
}

fn wait_for(ready: &Receiver<SocketAddr>) -> Option<SocketAddr> {
    ready.recv_timeout(PATIENCE).ok()
}

/// Runs a command that should end by itself; one that goes on for longer than `limit` is killed,
/// and has no exit code.
pub(crate) fn ran_within(limit: Duration, command: &mut Command) -> Ran {
    let mut process = Process::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let stdout = read(process.child().stdout.take().unwrap());
    let stderr = read(process.child().stderr.take().unwrap());
    let code = process.end_within(limit).and_then(|status| status.code());
    drop(process);
    Ran { code, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

/// A server that must refuse to start; what it says about why.
#[track_caller]
pub(crate) fn refused(command: &mut Command) -> String {
    let ran = ran_within(PATIENCE, command);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(r#""message":"ready""#), "{}", ran.stderr);
    // Its last words; before them are log lines.
    let at = ran.stderr.find("error: ").unwrap_or_else(|| panic!("no reason:\n{}", ran.stderr));
    ran.stderr[at..].to_owned()
}

fn read(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = Vec::new();
        from.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// Asks again and again whether it is so; false when it isn't within `limit`.
pub(crate) fn within(limit: Duration, mut so: impl FnMut() -> bool) -> bool {
    let watch = Stopwatch::start();
    loop {
        if so() {
            return true;
        }
        if watch.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
