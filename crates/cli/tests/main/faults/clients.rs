//! Clients that go away, stay silent or dawdle. Each has a connection of its own, and nobody else
//! notices.

use std::thread;
use std::time::Duration;

use countersign_ground::clock::Stopwatch;

use crate::database::Database;
use crate::http::{Connection, get, post};
use crate::ledger::Ledger;
use crate::server::{OPERATOR, Server, new_agent, within};

/// What the server gives a client for its head and for its body, and some more.
const OVERDUE: Duration = Duration::from_secs(15);

fn creation(name: &str) -> String {
    post("/api/v1/agents", &new_agent(name)).bearer(OPERATOR).text()
}

/// Waits until nothing is done any more that was begun, and finds nothing half-done.
fn assert_whole(database: &Database) -> i64 {
    let mut last = -1;
    let settled = within(Duration::from_secs(20), || {
        let before = last;
        thread::sleep(Duration::from_millis(300));
        last = database.count("SELECT COUNT(*) FROM audit_events");
        last == before
    });
    assert!(settled, "events keep coming");
    Ledger::default().read_on(database);
    database.count("SELECT COUNT(*) FROM agents")
}

#[test]
fn clients_that_leave_before_their_answer_leave_nothing_half_done() {
    let database = Database::create();
    let server = Server::start(&database, &[]);
    thread::scope(|scope| {
        for hurried in 0..10 {
            let server = &server;
            scope.spawn(move || {
                for n in 0..20 {
                    let mut connection = server.connect();
                    connection.send(creation(&format!("left-{hurried}-{n}")).as_bytes()).unwrap();
                    // At once, or while it is being done.
                    thread::sleep(Duration::from_millis(n % 10));
                    connection.leave();
                }
            });
        }
    });
    let agents = assert_whole(&database);
    println!("{agents} of 200 agents were created");
    server.agent("next");
}

#[test]
fn half_a_request_changes_nothing() {
    let database = Database::create();
    let server = Server::start(&database, &[]);
    for n in 0..50 {
        let whole = creation(&format!("half-{n}"));
        let head = whole.find("\r\n\r\n").unwrap();
        let mut connection = server.connect();
        // In the request line, in the head, at its end, in the body, and all but a byte.
        let sent = [5, head / 2, head + 4, (head + whole.len()) / 2, whole.len() - 1][n % 5];
        connection.send(&whole.as_bytes()[..sent]).unwrap();
        connection.leave();
    }
    assert_eq!(assert_whole(&database), 0);
    server.agent("next");
}

#[test]
fn slow_clients_hold_up_nobody_and_are_let_go() {
    let database = Database::create();
    let server = Server::start(&database, &[]);
    let whole = creation("slow");
    let connect = |sent: &str| {
        let mut connection = server.connect();
        connection.send(sent.as_bytes()).unwrap();
        connection
    };
    let watch = Stopwatch::start();
    let mut heads: Vec<Connection> = (0..50).map(|n| connect(&whole[..10 + n])).collect();
    let mut bodies: Vec<Connection> = (0..50).map(|_| connect(&whole[..whole.len() - 1])).collect();

    let asked = Stopwatch::start();
    for _ in 0..20 {
        server.ask(&get("/api/v1/agents").bearer(OPERATOR)).expect(200);
    }
    server.agent("quick");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());

    for body in &mut bodies {
        body.hear().unwrap().problem(400, "VALIDATION_ERROR");
    }
    for head in &mut heads {
        assert!(head.is_closed_within(OVERDUE), "a head may not take for ever");
    }
    assert!(watch.elapsed() < 2 * OVERDUE, "{:?}", watch.elapsed());
    assert_eq!(assert_whole(&database), 1);
}

/// A connection that is opened and left alone costs a client nothing and a server a descriptor.
#[test]
fn silent_clients_are_let_go() {
    let database = Database::create();
    let server = Server::start(&database, &[]);
    // Nothing; what may become either version of HTTP; what opens HTTP/2, and nothing after it.
    let openings = ["", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    let open = |opening: &'static str| {
        let mut connection = server.connect();
        connection.send(opening.as_bytes()).unwrap();
        (opening, connection)
    };
    for (opening, mut connection) in openings.map(open) {
        assert!(connection.is_closed_within(OVERDUE), "after {opening:?} it may stay for ever");
    }
}
