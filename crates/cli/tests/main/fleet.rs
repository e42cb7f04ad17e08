//! A fleet of a thousand agents, asked by the command line what teams ask: which agents exist, who
//! owns them, what may they do, why, what did they do, and how is one stopped now. And a leaked key.

use std::thread;
use std::time::Duration;

use countersign_ground::clock::Stopwatch;
use serde_json::{Value, json};

use crate::database::Database;
use crate::http::{get, post};
use crate::server::{Agent, OPERATOR, Server, within};
use crate::{Ran, countersign, ran};

const OWNERS: usize = 20;
const FLEET: usize = 1_000;

/// Runs a command as the first operator.
fn ask(server: &Server, args: &[&str]) -> Ran {
    let url = format!("http://{}", server.address);
    let ran = ran(countersign(args).env("COUNTERSIGN_URL", url).env("COUNTERSIGN_TOKEN", OPERATOR));
    assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.stderr);
    ran
}

fn json_of(server: &Server, args: &[&str]) -> Value {
    let ran = ask(server, &[args, &["--output", "json"]].concat());
    serde_json::from_str(&ran.stdout).unwrap()
}

/// Registers the fleet over a few connections.
fn register(server: &Server) {
    thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || {
                let mut connection = server.connect();
                for n in (part..FLEET).step_by(4) {
                    let agent = json!({
                        "email": format!("a{n}@fleet.example"), "version": "1.0.0",
                        "agentType": if n % 2 == 0 { "screener" } else { "router" },
                        "owner": format!("team-{}", n % OWNERS), "deploymentEnv": "production",
                        "capabilities": ["resumes:read"], "scopes": ["agents:read"],
                    });
                    let made = connection.ask(&post("/api/v1/agents", &agent).bearer(OPERATOR));
                    made.unwrap().expect(201);
                }
            });
        }
    });
}

/// One of the fleet, with a credential.
fn one(server: &Server, id: &str) -> Agent {
    let path = format!("/api/v1/agents/{id}/credentials");
    let made = server.ask(&post(&path, &json!({})).bearer(OPERATOR)).expect(201);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    Agent { id: id.to_owned(), credential: text("credentialId"), secret: text("clientSecret") }
}

#[test]
fn the_six_questions_are_answered_for_a_fleet_of_a_thousand() {
    let database = Database::create();
    let server = Server::start(&database, &[]);
    register(&server);

    // Which agents exist?
    let all = json_of(&server, &["agents", "list", "--all"]);
    assert_eq!(all["data"].as_array().unwrap().len(), FLEET);
    let routers = json_of(&server, &["agents", "list", "--type", "router", "--limit", "1"]);
    assert_eq!(routers["total"], FLEET / 2);

    // Who owns them?
    let theirs = json_of(&server, &["agents", "list", "--owner", "team-7", "--all"]);
    let theirs = theirs["data"].as_array().unwrap();
    assert_eq!(theirs.len(), FLEET / OWNERS);
    assert!(theirs.iter().all(|agent| agent["owner"] == "team-7"));

    // What may one do?
    let id = theirs[0]["agentId"].as_str().unwrap();
    let shown = ask(&server, &["agents", "show", id]).stdout;
    assert!(shown.contains("agents:read"), "{shown}");

    // And why, or why not? A refusal names its decision; the decision is in the record.
    let agent = one(&server, id);
    let token = server.token(&agent);
    let refused = server.ask(&get("/api/v1/audit").bearer(&token)).expect(403);
    let decision = refused["decision_id"].as_str().unwrap();
    let why = json_of(&server, &["audit", "search", "--decision-id", decision]);
    let why = &why["data"][0];
    assert_eq!(why["metadata"]["reason"], "insufficient-permissions");
    let told = json_of(&server, &["explain", decision]);
    assert_eq!(told["question"]["subject"]["id"], json!(id));
    assert_eq!(told["now"]["same"], true);
    assert_eq!((&why["actorId"], &why["resource"]), (&json!(id), &json!("audit/*")));

    // What did it do?
    let did = ask(&server, &["audit", "search", "--agent", id]).stdout;
    for action in ["token.issued", "decision.made", "credential.generated", "agent.created"] {
        assert!(did.contains(action), "{did}");
    }

    // How is it stopped now?
    let watch = Stopwatch::start();
    let receipt = json_of(&server, &["agents", "quarantine", id, "--reason", "a drill"]);
    assert!(!server.is_live(&token));
    println!("stopped, and seen to be, within {:?} of the command", watch.elapsed());
    assert_eq!(receipt["credentials"], json!([agent.credential]));
    assert_eq!(receipt["tokens"]["live"], 1);
    server.ask(&get("/api/v1/whoami").bearer(&token)).expect(401);
}

#[test]
fn a_leaked_key_is_revoked_and_every_token_it_signed_is_refused_from_then_on() {
    let database = Database::create();
    let server = Server::start(&database, &[]);
    let agents: Vec<Agent> = (0..5).map(|n| server.agent(&format!("a{n}"))).collect();
    let tokens: Vec<String> = agents.iter().map(|agent| server.token(agent)).collect();
    let published = || {
        let set = server.ask(&get("/.well-known/jwks.json")).expect(200);
        let kids = set["keys"].as_array().unwrap().iter();
        kids.map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // The next key is made beside the work.
    assert!(within(Duration::from_secs(20), || published().len() == 2));
    let keys = json_of(&server, &["keys", "list"]);
    let active = keys["data"].as_array().unwrap().iter().find(|key| key["state"] == "active");
    let kid = active.unwrap()["kid"].as_str().unwrap();

    let watch = Stopwatch::start();
    let args = ["keys", "revoke", kid, "--reason", "found in a log", "--yes"];
    let told = json_of(&server, &args);
    println!("{:>8.1?}  the command has ended: {told}", watch.elapsed());
    assert!(tokens.iter().all(|token| !server.is_live(token)));
    println!("{:>8.1?}  introspection refuses all {} tokens", watch.elapsed(), tokens.len());
    for token in &tokens {
        server.ask(&get("/api/v1/whoami").bearer(token)).expect(401);
    }
    println!("{:>8.1?}  and so does every door", watch.elapsed());
    assert!(!published().contains(&kid.to_owned()));
    println!("{:>8.1?}  the key is published no more", watch.elapsed());
    for agent in &agents {
        assert!(server.is_live(&server.token(agent)));
    }
    println!("{:>8.1?}  every agent has a new token, by another key", watch.elapsed());
    println!("     5 min  whoever kept the published keys (max-age=300) has to ask again");
    let time = |name: &str| told[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(time("offlineUntil").duration_since(time("revokedAt")).as_secs(), 300);
}
