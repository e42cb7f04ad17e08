//! Everything that the server writes, at its most talkative, searched for every secret there is.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::countersign;
use crate::database::{Database, Engine};
use crate::http::{Answer, Request, delete, form, get, patch, post};
use crate::server::{Agent, Server, ask_token, new_agent, ran_within, serve};

const MACHINE: &str = "machine-token-of-the-tests-0123456789";

/// What must be nowhere, by name.
#[derive(Default)]
struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// The secret itself, and what an encoding on its way makes of it.
    fn add(&mut self, name: &str, secret: &str) {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let forms =
            [("", secret.to_owned()), (" in base64", STANDARD.encode(secret)), (" in hex", hex)];
        self.0.extend(forms.map(|(form, text)| (format!("{name}{form}"), text)));
    }

    /// The secret of a client, also as HTTP Basic carries it.
    fn add_client(&mut self, agent: &Agent) {
        self.add("a client secret", &agent.secret);
        let basic = STANDARD.encode(format!("{}:{}", agent.id, agent.secret));
        self.0.push(("HTTP Basic".into(), basic));
    }

    /// A token, and the part of it that nobody could guess.
    fn add_token(&mut self, token: &str) {
        self.add("an access token", token);
        let signature = token.rsplit('.').next().unwrap();
        self.0.push(("a token's signature".into(), signature.to_owned()));
    }

    #[track_caller]
    fn are_not_in(&self, place: &str, text: &str) {
        self.are_not_in_save(place, text, &[]);
    }

    #[track_caller]
    fn are_not_in_save(&self, place: &str, text: &str, its_own: &[&str]) {
        for (name, secret) in &self.0 {
            if let Some(at) = text.find(secret.as_str())
                && !its_own.iter().any(|own| name.starts_with(own))
            {
                let around: String = text[..at].chars().rev().take(200).collect();
                let around: String = around.chars().rev().collect();
                panic!("{name} is in {place}, after: {around}");
            }
        }
    }
}

/// A server on which everything is noted that it answers.
struct Talk {
    server: Server,
    operator: String,
    asked: u32,
    /// Bodies and headers that may hold no secret.
    heard: Vec<String>,
    /// Ids of requests that were refused, with their status.
    refused: Vec<(String, u16)>,
}

impl Talk {
    fn ask(&mut self, request: Request) -> Answer {
        self.asked += 1;
        let id = format!("talk-{}", self.asked);
        let answer = self.server.ask(&request.id(&id));
        if answer.status >= 400 {
            assert!(answer.headers.contains(&format!("x-request-id: {id}\n")), "{answer:?}");
            let body = answer.json();
            assert!(body["error_description"].is_string() || body["request_id"] == *id, "{body}");
            self.refused.push((id, answer.status));
        }
        answer
    }

    /// Asks for what may hold no secret.
    #[track_caller]
    fn hear(&mut self, status: u16, request: Request) {
        let answer = self.ask(request);
        assert_eq!(answer.status, status, "{answer:?}");
        self.heard.push(format!("{}{}", answer.headers, answer.body));
    }

    fn as_operator(&mut self, status: u16, request: Request) -> Value {
        let request = request.bearer(&self.operator.clone());
        self.ask(request).expect(status)
    }

    /// The main job, and whatever else makes a secret.
    fn do_the_work(&mut self, secrets: &mut Secrets) -> (Agent, String) {
        let made = self.as_operator(201, post("/api/v1/agents", &new_agent("talk")));
        let id = text(&made["agentId"]);
        let credentials = format!("/api/v1/agents/{id}/credentials");
        let made = self.as_operator(201, post(&credentials, &json!({})));
        let old = Agent {
            id: id.clone(),
            credential: text(&made["credentialId"]),
            secret: text(&made["clientSecret"]),
        };
        let rotate = format!("{credentials}/{}/rotate", old.credential);
        let made = self.as_operator(200, post(&rotate, &json!({"graceSeconds": 600})));
        let agent = Agent { secret: text(&made["clientSecret"]), ..old.clone() };
        secrets.add_client(&old);
        secrets.add_client(&agent);
        let pairs = [
            ("grant_type", "client_credentials"),
            ("client_id", &agent.id),
            ("client_secret", &agent.secret),
        ];
        let mut tokens = Vec::new();
        for request in [ask_token(&agent), ask_token(&old), form("/oauth2/token", &pairs)] {
            tokens.push(text(&self.ask(request).expect(200)["access_token"]));
        }
        tokens.iter().for_each(|token| secrets.add_token(token));
        let introspect = |token: &str| form("/api/v1/token/introspect", &[("token", token)]);
        let revoke = form("/api/v1/token/revoke", &[("token", &tokens[1])]);
        self.hear(200, introspect(&tokens[0]).basic(&agent.id, &agent.secret));
        self.hear(200, introspect(&tokens[0]).bearer(&self.operator.clone()));
        self.hear(200, revoke.basic(&agent.id, &agent.secret));
        self.hear(200, get(&format!("/api/v1/agents/{id}")).bearer(&tokens[0]));
        (agent, tokens.swap_remove(0))
    }

    /// Secrets that are wrong, at the wrong place, or too many. A mistyped one is nearly right, and
    /// may be somebody else's.
    fn be_refused(&mut self, agent: &Agent, token: &str, secrets: &mut Secrets) {
        let operator = self.operator.clone();
        let mistyped = |secret: &str| {
            let last = if secret.ends_with('0') { "1" } else { "0" };
            format!("{}{last}", &secret[..secret.len() - 1])
        };
        let wrong = Agent { secret: mistyped(&agent.secret), ..agent.clone() };
        secrets.add_client(&wrong);
        secrets.add("a mistyped operator token", &mistyped(&operator));
        secrets.add("a mistyped machine token", &mistyped(MACHINE));
        let (head, _) = token.rsplit_once('.').unwrap();
        let forged = format!("{head}.{}", "A".repeat(86));
        secrets.add("a forged token", &forged);
        let grant = ("grant_type", "client_credentials");
        let (id, secret) = (("client_id", &*agent.id), ("client_secret", &*agent.secret));
        let list = || get("/api/v1/agents");
        let show = |id: &str| get(&format!("/api/v1/agents/{id}"));

        self.hear(401, ask_token(&wrong));
        self.hear(401, form("/api/v1/token", &[grant, id, ("client_secret", &wrong.secret)]));
        self.hear(400, form("/api/v1/token", &[grant, id, secret, secret]));
        self.hear(400, form("/api/v1/token", &[grant, secret]).basic(&agent.id, &agent.secret));
        self.hear(400, form("/api/v1/token", &[id, secret]));
        self.hear(400, form("/api/v1/token", &[grant, id, secret, ("scope", "agents:delete")]));
        self.hear(400, form("/api/v1/token", &[grant, id, secret, ("resource", "nowhere")]));
        self.hear(
            401,
            form("/api/v1/token/introspect", &[("token", token)]).basic("x", &wrong.secret),
        );
        self.hear(401, form("/api/v1/token/introspect", &[("token", token)]));
        self.hear(200, form("/api/v1/token/introspect", &[("token", &forged)]).bearer(&operator));
        self.hear(200, form("/api/v1/token/revoke", &[("token", &forged)]).bearer(&operator));
        for bearer in [&mistyped(&operator), &forged, head, &format!("{token}x"), &agent.secret] {
            self.hear(401, list().bearer(bearer));
        }
        self.hear(401, list().header("Authorization", token));
        self.hear(401, list().basic(&agent.id, &agent.secret));
        self.hear(401, list().bearer(&operator).bearer(token));
        self.hear(401, list().header("X-Machine-Token", &mistyped(MACHINE)));
        self.hear(401, list().header("X-Machine-Token", MACHINE).bearer(&operator));
        self.hear(403, list().header("X-Machine-Token", MACHINE));
        self.hear(403, get("/api/v1/audit").bearer(token));
        // At the wrong place.
        self.hear(400, get(&format!("/api/v1/agents?access_token={token}")).bearer(&operator));
        self.hear(400, show(&agent.secret).bearer(&operator));
        self.hear(404, get(&format!("/{token}")));
        let misplaced = json!({"clientSecret": agent.secret, "token": token});
        self.hear(400, post("/api/v1/agents", &misplaced).bearer(&operator));
        self.hear(
            400,
            patch(&format!("/api/v1/agents/{}", agent.id), &misplaced).bearer(&operator),
        );
        let unknown = "01980000-0000-7000-8000-000000000000";
        self.hear(404, show(unknown).bearer(&operator));
        let gone = format!("/api/v1/agents/{}/credentials/{unknown}", agent.id);
        self.hear(404, delete(&gone).bearer(&operator));
        self.hear(405, delete("/api/v1/token").basic(&agent.id, &agent.secret));
    }

    /// Everything there is to read.
    fn read_all(&mut self, agent: &Agent) {
        let operator = self.operator.clone();
        for path in [
            "/api/v1/agents?limit=100",
            &format!("/api/v1/agents/{}", agent.id),
            &format!("/api/v1/agents/{}/credentials", agent.id),
            "/api/v1/audit?limit=500",
            "/api/v1/keys",
            "/.well-known/jwks.json",
            "/.well-known/oauth-authorization-server",
            "/.well-known/openid-configuration",
            "/.well-known/oauth-protected-resource",
            "/openapi.json",
            "/metrics",
            "/health",
            "/readyz?verbose",
        ] {
            self.hear(200, get(path).bearer(&operator));
        }
    }
}

#[test]
fn no_secret_is_in_a_log_an_answer_or_a_file_and_failures_name_their_request() {
    let database = Database::create();
    let mut secrets = Secrets::default();
    let mut command = serve(&database, &[]);
    command.env_remove("BOOTSTRAP_ADMIN_TOKEN").env("MACHINE_SECRET_TOKEN", MACHINE);
    command.env("DATABASE_TIMEOUT_MS", "2000");
    if database.engine != Engine::Sqlite {
        command.env("MASTER_KEY", "0a1b".repeat(16));
    }
    let shown = config_shown(&command, &database);
    command.envs([("LOG_LEVEL", "trace"), ("LOG_FORMAT", "json")]);

    let server = Server::spawn(&mut command);
    let folder = database.folder.path();
    let data =
        folder.join(if database.engine == Engine::Sqlite { "data" } else { "countersign-data" });
    let operator = fs::read_to_string(data.join("bootstrap-token")).unwrap().trim().to_owned();
    let master = match database.engine {
        Engine::Sqlite => fs::read_to_string(data.join("master-key")).unwrap().trim().to_owned(),
        _ => "0a1b".repeat(16),
    };
    secrets.add("the operator's token", &operator);
    secrets.add("the master key", &master);
    secrets.add("the machine token", MACHINE);
    if let Some(password) = database.password() {
        secrets.add("the database's password", &password);
    }
    let mut talk = Talk { server, operator, asked: 0, heard: Vec::new(), refused: Vec::new() };
    let (agent, token) = talk.do_the_work(&mut secrets);
    talk.be_refused(&agent, &token, &mut secrets);
    database.while_locked(|| talk.hear(503, ask_token(&agent)));
    talk.read_all(&agent);
    let Talk { server, heard, refused, .. } = talk;
    let (status, log) = server.terminate();
    assert_eq!(status.code(), Some(0));

    for answer in &heard {
        secrets.are_not_in("an answer", answer);
    }
    for line in &log {
        secrets.are_not_in("the log", line);
    }
    for (place, text) in &shown {
        secrets.are_not_in(place, text);
    }
    assert!(log.iter().any(|line| line.contains(r#""level":"DEBUG""#)), "the log is not talkative");
    assert_files(&secrets, folder, &bytes(&master));
    if database.engine != Engine::Sqlite {
        assert_tables(&secrets, &database);
    }
    assert_requests_are_named(&log, &refused);
}

/// What `config` prints of the same settings.
fn config_shown(serve: &std::process::Command, database: &Database) -> Vec<(String, String)> {
    let ways: [&[&str]; 3] = [&["config"], &["config", "--output", "json"], &["config", "check"]];
    let shown = ways.into_iter().map(|args| {
        let mut command = countersign(args);
        command.env_clear().current_dir(database.folder.path());
        command.envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let ran = ran_within(std::time::Duration::from_secs(20), &mut command);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        (args.join(" "), ran.stdout + &ran.stderr)
    });
    shown.collect()
}

/// Every file in the folder, a secret's own file excepted.
fn assert_files(secrets: &Secrets, folder: &Path, master: &[u8]) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_files(secrets, &path, master);
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let own = match path.file_name().unwrap().to_str().unwrap() {
            "master-key" => &["the master key"][..],
            "bootstrap-token" => &["the operator's token"],
            _ => &[],
        };
        let place = path.display().to_string();
        secrets.are_not_in_save(&place, &String::from_utf8_lossy(&bytes), own);
        assert!(!bytes.windows(32).any(|window| window == master), "the master key is in {place}");
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// Every row of every table, as text.
fn assert_tables(secrets: &Secrets, database: &Database) {
    let tables = database.read(&["SELECT tablename FROM pg_tables WHERE schemaname = 'public'"]);
    assert!(tables[0].len() > 5);
    for table in tables[0].concat() {
        let rows = database.read(&[&format!("SELECT t::text FROM {table} t")]);
        secrets.are_not_in(&table, &rows[0].concat().join("\n"));
    }
}

/// Each refusal is in the log under its request's id, and what failed with its cause, too.
fn assert_requests_are_named(log: &[String], refused: &[(String, u16)]) {
    let lines: Vec<Value> = log.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (id, status) in refused {
        let of_it: Vec<&Value> = lines.iter().filter(|line| line["request_id"] == **id).collect();
        assert!(of_it.iter().any(|line| line["status"] == *status), "{id}, {status}: {of_it:?}");
        let caused = of_it.iter().any(|line| line["cause"].is_string());
        assert_eq!(caused, *status >= 500, "{id}: {of_it:?}");
    }
    for line in &lines {
        let of_a_request = line["status"].is_number() || line["message"] == "request failed";
        assert!(!of_a_request || line["request_id"].is_string(), "{line}");
    }
    assert!(refused.iter().any(|(_, status)| *status == 503));
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
