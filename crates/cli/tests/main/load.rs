//! Clients that keep a server busy with changes and note what they were answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::http::{Answer, Connection, Request, delete, form, post};
use crate::server::{Agent, OPERATOR, Server, ask_token, change_status, new_agent, within};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Answered with success.
    Done,
    /// Answered with 503, and that nothing was changed.
    Refused,
    /// Not answered, or answered that the outcome is unknown.
    Unknown,
}

/// One request of the load.
#[derive(Debug)]
pub(crate) struct Noted {
    /// Its `X-Request-ID`.
    pub(crate) request: String,
    /// The event that it is recorded as.
    pub(crate) action: &'static str,
    /// The id of the token, agent or credential.
    pub(crate) about: String,
    pub(crate) fate: Fate,
}

/// Everything that a load leaves behind.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) requests: Vec<Noted>,
    /// Tokens that must be good.
    pub(crate) live: Vec<String>,
    /// Tokens that must not be good any more.
    pub(crate) dead: Vec<String>,
    /// Agents with the status that they were given last.
    pub(crate) agents: Vec<(String, &'static str)>,
    /// Credentials with their agent.
    pub(crate) credentials: Vec<(String, String)>,
    /// Answers that no client should get.
    pub(crate) wrong: Vec<String>,
}

impl Notes {
    pub(crate) fn with(&self, fate: Fate) -> impl Iterator<Item = &Noted> {
        self.requests.iter().filter(move |note| note.fate == fate)
    }

    pub(crate) fn count(&self, fate: Fate) -> usize {
        self.with(fate).count()
    }

    pub(crate) fn tokens(&self) -> usize {
        self.with(Fate::Done).filter(|note| note.action == "token.issued").count()
    }

    pub(crate) fn add(&mut self, mut other: Self) {
        self.requests.append(&mut other.requests);
        self.live.append(&mut other.live);
        self.dead.append(&mut other.dead);
        self.agents.append(&mut other.agents);
        self.credentials.append(&mut other.credentials);
        self.wrong.append(&mut other.wrong);
    }
}

/// Running clients.
pub(crate) struct Load {
    clients: Vec<JoinHandle<Notes>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    answered: AtomicUsize,
}

impl Load {
    /// Starts sixteen clients, half of which ask for tokens as `agent`. `name` sets the ids of
    /// their requests apart.
    pub(crate) fn start(server: &Server, agent: &Agent, name: &str) -> Self {
        let shared = Arc::<Shared>::default();
        let parts: [fn(&mut Client); 16] = [
            tokens,
            agents,
            tokens,
            statuses,
            tokens,
            revocations,
            tokens,
            credentials,
            tokens,
            agents,
            tokens,
            statuses,
            tokens,
            revocations,
            tokens,
            credentials,
        ];
        let clients = parts.into_iter().enumerate().map(|(i, part)| {
            let mut client = Client {
                address: server.address,
                connection: None,
                agent: agent.clone(),
                name: format!("{name}-{i}"),
                asked: 0,
                notes: Notes::default(),
                shared: Arc::clone(&shared),
                gone: false,
            };
            thread::spawn(move || {
                while client.goes_on() {
                    part(&mut client);
                }
                client.notes
            })
        });
        Self { clients: clients.collect(), shared }
    }

    /// Waits until `count` more requests have been answered with success.
    #[track_caller]
    pub(crate) fn await_answers(&self, count: usize) {
        let answered = || self.shared.answered.load(Ordering::Relaxed);
        let wanted = answered() + count;
        assert!(within(Duration::from_secs(20), || answered() >= wanted), "too few answers");
    }

    /// Lets every client finish its request.
    pub(crate) fn stop(self) -> Notes {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.end()
    }

    /// Waits until every client has noticed that the server is gone.
    pub(crate) fn end(self) -> Notes {
        let mut notes = Notes::default();
        for client in self.clients {
            notes.add(client.join().unwrap());
        }
        notes
    }
}

struct Client {
    address: SocketAddr,
    connection: Option<Connection>,
    agent: Agent,
    name: String,
    asked: u32,
    notes: Notes,
    shared: Arc<Shared>,
    gone: bool,
}

impl Client {
    fn goes_on(&self) -> bool {
        !self.gone && !self.shared.stop.load(Ordering::Relaxed)
    }

    /// Asks for one change, notes what became of it, and gives the answer to one that was made.
    fn ask(
        &mut self,
        action: &'static str,
        request: Request,
        about: impl FnOnce(&Value) -> String,
    ) -> Option<Value> {
        self.asked += 1;
        let id = format!("{}-{}", self.name, self.asked);
        let answered = self.exchange(&request.id(&id));
        let mut note = Noted { request: id, action, about: String::new(), fate: Fate::Unknown };
        let mut made = None;
        match answered {
            Some(answer) if (200..300).contains(&answer.status) => {
                self.shared.answered.fetch_add(1, Ordering::Relaxed);
                note.fate = Fate::Done;
                note.about = about(made.insert(answer.json()));
            }
            Some(answer) if answer.status == 503 => {
                if answer.body.contains("nothing was changed") {
                    note.fate = Fate::Refused;
                } else if !answer.body.contains("unknown") {
                    self.notes.wrong.push(format!("{note:?}: {answer:?}"));
                }
                // As `Retry-After` asks, only sooner.
                thread::sleep(Duration::from_millis(5));
            }
            Some(answer) => self.notes.wrong.push(format!("{note:?}: {answer:?}")),
            None => {}
        }
        self.notes.requests.push(note);
        made
    }

    /// `None` when there was no answer. A server that lets nobody in any more is gone.
    fn exchange(&mut self, request: &Request) -> Option<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match Connection::to(self.address) {
                Ok(connection) => connection,
                Err(_) => {
                    self.gone = true;
                    return None;
                }
            },
        };
        let answer = connection.ask(request).ok()?;
        if !answer.headers.contains("connection: close") {
            self.connection = Some(connection);
        }
        Some(answer)
    }

    fn token(&mut self, agent: &Agent) -> Option<String> {
        let answer = self.ask("token.issued", ask_token(agent), |answer| {
            jti(answer["access_token"].as_str().unwrap())
        })?;
        Some(answer["access_token"].as_str().unwrap().to_owned())
    }

    fn agent(&mut self) -> Option<String> {
        let name = format!("{}-{}", self.name, self.asked);
        let request = post("/api/v1/agents", &new_agent(&name)).bearer(OPERATOR);
        let made = self.ask("agent.created", request, |made| text(&made["agentId"]))?;
        Some(text(&made["agentId"]))
    }

    fn credential(&mut self, agent: &str) -> Option<Agent> {
        let path = format!("/api/v1/agents/{agent}/credentials");
        let request = post(&path, &json!({})).bearer(OPERATOR);
        let about = |made: &Value| text(&made["credentialId"]);
        let made = self.ask("credential.generated", request, about)?;
        let (credential, secret) = (text(&made["credentialId"]), text(&made["clientSecret"]));
        self.notes.credentials.push((agent.to_owned(), credential.clone()));
        Some(Agent { id: agent.to_owned(), credential, secret })
    }
}

fn tokens(client: &mut Client) {
    let agent = client.agent.clone();
    let token = client.token(&agent);
    client.notes.live.extend(token);
}

fn agents(client: &mut Client) {
    let agent = client.agent();
    client.notes.agents.extend(agent.map(|agent| (agent, "active")));
}

/// Suspends and reactivates an agent of its own until it does not know how that ended.
fn statuses(client: &mut Client) {
    let Some(id) = client.agent() else { return };
    let Some(agent) = client.credential(&id) else { return };
    while client.goes_on() {
        let Some(token) = client.token(&agent) else { continue };
        for (status, action) in [("suspended", "agent.suspended"), ("active", "agent.reactivated")]
        {
            loop {
                let request = change_status(&id, status);
                if client.ask(action, request, |_| id.clone()).is_some() {
                    break;
                }
                let refused = client.notes.requests.last().map(|note| note.fate);
                if refused != Some(Fate::Refused) || !client.goes_on() {
                    return;
                }
            }
            if status == "suspended" {
                client.notes.dead.push(token.clone());
            }
        }
    }
    client.notes.agents.push((id, "active"));
}

fn revocations(client: &mut Client) {
    let agent = client.agent.clone();
    let Some(token) = client.token(&agent) else { return };
    let request = form("/api/v1/token/revoke", &[("token", &token)]).bearer(OPERATOR);
    if client.ask("token.revoked", request, |_| jti(&token)).is_some() {
        client.notes.dead.push(token);
    } else if client.notes.requests.last().is_some_and(|note| note.fate == Fate::Refused) {
        client.notes.live.push(token);
    }
}

/// Makes credentials, and revokes every other one of them.
fn credentials(client: &mut Client) {
    let Some(id) = client.agent() else { return };
    for _ in 0..10 {
        let (Some(_), Some(second)) = (client.credential(&id), client.credential(&id)) else {
            return;
        };
        let path = format!("/api/v1/agents/{id}/credentials/{}", second.credential);
        let request = delete(&path).bearer(OPERATOR);
        client.ask("credential.revoked", request, |_| second.credential.clone());
    }
}

/// The id in a token's payload.
pub(crate) fn jti(token: &str) -> String {
    let payload = token.split('.').nth(1).unwrap();
    let payload = URL_SAFE_NO_PAD.decode(payload).unwrap();
    text(&serde_json::from_slice::<Value>(&payload).unwrap()["jti"])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
