//! What the record says should be in the database, held against what is in it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::database::{Database, Rows};
use crate::load::{Fate, Noted};

/// Positions of one stream: `stream * STREAM_LENGTH + n`.
const STREAM_LENGTH: i64 = 1 << 40;

/// Everything that was recorded so far.
#[derive(Default)]
pub(crate) struct Ledger {
    /// The last number of each stream.
    streams: BTreeMap<i64, i64>,
    /// Status and generation.
    agents: BTreeMap<String, (&'static str, i64)>,
    /// Whether it is live.
    credentials: BTreeMap<String, bool>,
    issued: BTreeSet<String>,
    revoked: BTreeSet<String>,
    /// What each request did, and to what.
    done: HashMap<String, Vec<(String, String)>>,
}

impl Ledger {
    /// Reads what was recorded since, and finds every table as the record says it is: no stream
    /// has a gap, and nothing was done without its event or recorded without being done.
    #[track_caller]
    pub(crate) fn read_on(&mut self, database: &Database) {
        let events = format!(
            "SELECT position, body FROM audit_events WHERE {} ORDER BY position",
            self.not_yet_read()
        );
        let read = database.read(&[
            "SELECT stream, n FROM event_streams ORDER BY stream",
            "SELECT COUNT(*) FROM audit_events",
            "SELECT id, status, gen FROM agents ORDER BY id",
            "SELECT id, revoked_at FROM credentials ORDER BY id",
            "SELECT jti FROM token_revocations ORDER BY jti",
            &events,
        ]);
        let [streams, total, agents, credentials, revocations, events] = &read[..] else {
            panic!("as many results as statements")
        };
        for event in events {
            self.count(number(&event[0]));
            self.take(&serde_json::from_str(&event[1]).unwrap());
        }
        self.holds_streams(streams, number(&total[0][0]));
        let agent = |row: &Vec<String>| (row[0].clone(), (row[1].clone(), number(&row[2])));
        let expected = self
            .agents
            .iter()
            .map(|(id, (status, generation))| (id.clone(), ((*status).to_owned(), *generation)));
        same("agents", agents.iter().map(agent), expected);
        let credential = |row: &Vec<String>| (row[0].clone(), row[1].is_empty());
        let expected = self.credentials.iter().map(|(id, live)| (id.clone(), *live));
        same("credentials", credentials.iter().map(credential), expected);
        let revoked = self.revoked.iter().cloned();
        same("token_revocations", revocations.iter().map(|row| row[0].clone()), revoked);
    }

    /// Finds that what was answered was done, once, and that what was refused was not.
    #[track_caller]
    pub(crate) fn agrees_with(&self, notes: &[Noted]) {
        for note in notes {
            let wanted = (note.action.to_owned(), note.about.clone());
            let done = self.done.get(&note.request).map_or(&[][..], Vec::as_slice);
            match note.fate {
                Fate::Done => assert_eq!(done, [wanted], "answered: {note:?}"),
                Fate::Refused => assert_eq!(done, [], "refused: {note:?}"),
                Fate::Unknown => assert!(done.len() <= 1, "{note:?}: {done:?}"),
            }
        }
    }

    /// Whether a request left anything behind.
    pub(crate) fn knows(&self, request: &str) -> bool {
        self.done.contains_key(request)
    }

    pub(crate) fn events(&self) -> i64 {
        self.streams.values().sum()
    }

    fn not_yet_read(&self) -> String {
        let first_new = (self.streams.len() as i64 + 1) * STREAM_LENGTH;
        let mut wanted = format!("position >= {first_new}");
        for (stream, n) in &self.streams {
            let (start, end) = (stream * STREAM_LENGTH, (stream + 1) * STREAM_LENGTH);
            wanted.push_str(&format!(" OR (position > {} AND position < {end})", start + n));
        }
        wanted
    }

    #[track_caller]
    fn count(&mut self, position: i64) {
        let (stream, n) = (position / STREAM_LENGTH, position % STREAM_LENGTH);
        let last = self.streams.entry(stream).or_insert(0);
        assert_eq!(n, *last + 1, "a gap in stream {stream}");
        *last = n;
    }

    #[track_caller]
    fn holds_streams(&mut self, rows: &Rows, total: i64) {
        for row in rows {
            let (stream, n) = (number(&row[0]), number(&row[1]));
            let last = *self.streams.entry(stream).or_insert(0);
            assert_eq!(n, last, "the counter of stream {stream} is not its last number");
        }
        assert_eq!(rows.len(), self.streams.len(), "an event in a stream without a counter");
        assert_eq!(total, self.events(), "events are gone");
    }

    /// Moves what the event tells of.
    #[track_caller]
    fn take(&mut self, event: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (action, agent) = (text(&event["action"]), text(&event["agentId"]));
        let (jti, credential) =
            (text(&event["metadata"]["jti"]), text(&event["metadata"]["credentialId"]));
        let about = match &*action {
            "agent.created" => {
                let before = self.agents.insert(agent.clone(), ("active", 1));
                assert_eq!(before, None, "created twice: {event}");
                agent
            }
            "agent.suspended" => {
                let known = self.agents.get_mut(&agent).unwrap();
                *known = ("suspended", known.1 + 1);
                agent
            }
            "agent.reactivated" => {
                self.agents.get_mut(&agent).unwrap().0 = "active";
                agent
            }
            "credential.generated" => {
                let before = self.credentials.insert(credential.clone(), true);
                assert_eq!(before, None, "generated twice: {event}");
                credential
            }
            "credential.revoked" => {
                assert_eq!(self.credentials.insert(credential.clone(), false), Some(true));
                credential
            }
            "token.issued" => {
                assert!(self.issued.insert(jti.clone()), "issued twice: {event}");
                jti
            }
            "token.revoked" => {
                assert!(self.revoked.insert(jti.clone()), "revoked twice: {event}");
                jti
            }
            "token.introspected" => jti,
            _ => return,
        };
        self.done.entry(text(&event["requestId"])).or_default().push((action, about));
    }
}

#[track_caller]
fn number(text: &str) -> i64 {
    text.parse().unwrap()
}

/// Names what differs, and not all the rest.
#[track_caller]
fn same<T: Ord + std::fmt::Debug>(
    table: &str,
    rows: impl Iterator<Item = T>,
    recorded: impl Iterator<Item = T>,
) {
    let (rows, recorded): (BTreeSet<T>, BTreeSet<T>) = (rows.collect(), recorded.collect());
    let undone: Vec<_> = recorded.difference(&rows).collect();
    let unrecorded: Vec<_> = rows.difference(&recorded).collect();
    assert!(
        undone.is_empty() && unrecorded.is_empty(),
        "{table}: recorded and not there: {undone:?}; there and not recorded: {unrecorded:?}"
    );
}
