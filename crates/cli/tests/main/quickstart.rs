//! `countersign quickstart`, as somebody meets it who has just got the binary.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use countersign_ground::clock::Stopwatch;
use insta::{assert_snapshot, with_settings};

use crate::countersign;
use crate::http::{Connection, get};
use crate::server::{Process, ran_within};

const PROMPT: Duration = Duration::from_secs(5);

/// In `folder`, with nothing in its environment.
fn quickstart(folder: &Path, more: &[&str]) -> Command {
    let mut command = countersign(&[&["quickstart", "--dir", "trial"], more].concat());
    command.env_clear().current_dir(folder);
    command
}

#[test]
fn the_whole_job_is_shown_within_five_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let watch = Stopwatch::start();
    let ran = ran_within(PROMPT, &mut quickstart(folder.path(), &["--once"]));
    assert!(watch.elapsed() < PROMPT);
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    with_settings!({filters => vec![
        (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[id]"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:[port]"),
        (r"screener-[^@]+@", "screener-[number]@"),
        (r"sk_live_[0-9a-f]{4}…", "sk_live_[start]…"),
        (r"decision:[0-9a-f]{16}", "decision:[id]"),
        (r"under \d seal", "under [n] seal"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "[time]"),
    ]}, {
        assert_snapshot!(ran.stdout, @r#"
        Countersign is running at http://127.0.0.1:[port], its data in trial.
        The first operator's token is in trial/bootstrap-token; in the commands below it is $TOKEN:

          export TOKEN=$(cat trial/bootstrap-token)


        1. Register an agent, and say what its tokens may hold
           curl -X POST 'http://127.0.0.1:[port]/api/v1/agents' \
               -H "Authorization: Bearer $TOKEN" \
               -H 'Content-Type: application/json' \
               -d '{"agentType":"screener","capabilities":["resumes:read"],"deploymentEnv":"development","email":"screener-[number]@agents.example","owner":"hiring-team","scopes":["agents:read"],"version":"1.0.0"}'
           → 201, agent [id], active

        2. Give it a credential; the secret is shown this once
           curl -X POST 'http://127.0.0.1:[port]/api/v1/agents/[id]/credentials' \
               -H "Authorization: Bearer $TOKEN"
           → 201, credential [id], secret sk_live_[start]…

        3. The agent trades it for an access token
           curl -u '[id]:'"$CLIENT_SECRET" 'http://127.0.0.1:[port]/api/v1/token' -d grant_type=client_credentials
           → 200, a Bearer token for `agents:read`, good for 3600 s

        4. With it, the agent may do what its scope says
           curl 'http://127.0.0.1:[port]/api/v1/agents' \
               -H "Authorization: Bearer $ACCESS_TOKEN"
           → 200, 1 agent(s)

        5. It may not do anything else, and is told what it lacks and which decision that was
           curl 'http://127.0.0.1:[port]/api/v1/audit' \
               -H "Authorization: Bearer $ACCESS_TOKEN"
           → 403 INSUFFICIENT_SCOPE: the token lacks `audit:read`
             decision:[id]

        6. Suspend the agent
           curl -X PATCH 'http://127.0.0.1:[port]/api/v1/agents/[id]' \
               -H "Authorization: Bearer $TOKEN" \
               -H 'Content-Type: application/json' \
               -d '{"status":"suspended"}'
           → 200, suspended

        7. Its live token is dead at once, and it gets no new one
           curl 'http://127.0.0.1:[port]/api/v1/agents' \
               -H "Authorization: Bearer $ACCESS_TOKEN"
           → 401 UNAUTHORIZED
           curl -u '[id]:'"$CLIENT_SECRET" 'http://127.0.0.1:[port]/api/v1/token' -d grant_type=client_credentials
           → 403 unauthorized_client

        8. Every step stands in the record
           curl 'http://127.0.0.1:[port]/api/v1/audit?limit=20' \
               -H "Authorization: Bearer $TOKEN"
           [time]  operator.bootstrapped success  by system
           [time]  agent.created         success  by operator
           [time]  credential.generated  success  by operator
           [time]  token.issued          success  by agent
           [time]  decision.made         denied   by agent
           [time]  agent.suspended       success  by operator
           [time]  auth.failed           denied   by anonymous
           [time]  auth.failed           denied   by agent

        9. Nothing in the record can be changed unseen: it is sealed every second, and anybody can verify it
           countersign audit verify --set DATABASE_URL=sqlite://trial/countersign.db
           → 8 events under [n] seal(s), as they were sealed
        "#);
    });
}

#[test]
fn a_second_run_on_the_same_folder_works_too() {
    let folder = tempfile::tempdir().unwrap();
    for agents in [1, 2] {
        let ran = ran_within(PROMPT, &mut quickstart(folder.path(), &["--once"]));
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
        assert!(ran.stdout.contains(&format!("→ 200, {agents} agent(s)")), "{}", ran.stdout);
    }
}

/// In a container every first process has the same id.
#[test]
fn a_second_run_under_the_same_process_id_works_too() {
    let folder = tempfile::tempdir().unwrap();
    let alone = |command: &Command| {
        let mut alone = Command::new("unshare");
        alone.args(["--map-root-user", "--pid", "--fork", "--kill-child"]);
        alone.arg(command.get_program()).args(command.get_args());
        alone.current_dir(command.get_current_dir().unwrap());
        alone
    };
    let probe = alone(Command::new("true").current_dir(folder.path())).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        println!("skipped: `unshare` (util-linux) is not here or may not make a namespace");
        return;
    }
    for agents in [1, 2] {
        let ran = ran_within(PROMPT, &mut alone(&quickstart(folder.path(), &["--once"])));
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
        assert!(ran.stdout.contains(&format!("→ 200, {agents} agent(s)")), "{}", ran.stdout);
    }
}

/// The port that everybody expects is one; each finds another when it is taken meanwhile.
#[test]
fn several_started_at_once_find_a_port_each() {
    let folders: Vec<_> = (0..8).map(|_| tempfile::tempdir().unwrap()).collect();
    let runs = folders.iter().map(|folder| {
        let mut command = quickstart(folder.path(), &["--once"]);
        thread::spawn(move || ran_within(4 * PROMPT, &mut command))
    });
    for run in runs.collect::<Vec<_>>() {
        let ran = run.join().unwrap();
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    }
}

#[test]
fn without_once_it_serves_until_ctrl_c() {
    assert_serves_until("INT");
}

#[test]
fn without_once_it_serves_until_sigterm() {
    assert_serves_until("TERM");
}

fn assert_serves_until(signal: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::spawn(quickstart(folder.path(), &[]).stdout(Stdio::piped()));
    let address = told_address(process.child().stdout.take().unwrap());
    let ask = || Connection::to(address.parse().unwrap()).unwrap().ask(&get("/readyz")).unwrap();
    ask().expect(200);
    ask().expect(200);
    process.signal(signal);
    assert_eq!(process.end_within(PROMPT).unwrap().code(), Some(0), "{signal}");
    let ran = ran_within(PROMPT, &mut quickstart(folder.path(), &["--once"]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

/// Where it says that it keeps running. Its output ends with the process, so this ends, too.
fn told_address(stdout: ChildStdout) -> String {
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let told = lines.find_map(|line| {
        let rest = line.strip_prefix("The server keeps running at http://")?;
        Some(rest.split(';').next()?.to_owned())
    });
    let told = told.unwrap();
    // Whoever reads on must not be in the way of what is still written.
    assert!(lines.next().unwrap().contains("Ctrl-C"));
    told
}
