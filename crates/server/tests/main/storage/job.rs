//! A write that inserts a row, records an event and asks for a hook, and then meets its fate.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_ground::db::{Error, Row, Tx, Work};
use countersign_ground::params;
use countersign_ground::record::Event;
use serde_json::Value;
use tokio::sync::mpsc;

use super::on_sqlite;
use crate::support::TestApp;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Commits,
    Fails,
    FailsInTheDatabase,
    Panics,
    Waits,
}

impl Fate {
    /// Few panic: each costs PostgreSQL a connection.
    pub fn of(dice: u8) -> Self {
        match dice % 100 {
            0..60 => Self::Commits,
            60..74 => Self::Fails,
            74..88 => Self::FailsInTheDatabase,
            88..98 => Self::Waits,
            _ => Self::Panics,
        }
    }

    /// A transaction of PostgreSQL may sleep; SQLite's one writer may not.
    pub fn commits(self) -> bool {
        self == Self::Commits || (self == Self::Waits && !on_sqlite())
    }

    /// Whether this is how such a job fails.
    pub fn explains(self, error: &Error) -> bool {
        match self {
            Self::Commits => false,
            Self::Fails | Self::FailsInTheDatabase => matches!(error, Error::Query(_)),
            Self::Panics => matches!(error, Error::Panicked(text) if text == "as it should"),
            Self::Waits => on_sqlite() && matches!(error, Error::Waited),
        }
    }
}

pub struct Job {
    id: String,
    fate: Fate,
    event: Event,
    hooks: Arc<Mutex<Vec<String>>>,
    _under_way: mpsc::Sender<()>,
}

pub fn run<'t>(tx: &'t mut Tx, job: &'t Job) -> Work<'t, String> {
    Box::pin(async move {
        let (hooks, id) = (Arc::clone(&job.hooks), job.id.clone());
        tx.after_commit(move || hooks.lock().unwrap().push(id));
        tx.record(job.event.leaf());
        tx.execute("INSERT INTO jobs (id) VALUES ($1)", params![&job.id]).await?;
        match job.fate {
            Fate::Commits => {}
            Fate::Fails => return Err(Error::Query("as it should".into())),
            Fate::FailsInTheDatabase => {
                tx.execute("INSERT INTO jobs (id) VALUES ($1)", params![&job.id]).await?;
            }
            // Not `panic!`, which would print: this is no news.
            Fate::Panics => resume_unwind(Box::new("as it should")),
            Fate::Waits if on_sqlite() => tokio::task::yield_now().await,
            Fate::Waits => tokio::time::sleep(Duration::from_millis(1)).await,
        }
        Ok(job.id.clone())
    })
}

/// Makes jobs, and knows what they left.
#[derive(Clone)]
pub struct Jobs {
    pub app: Arc<TestApp>,
    hooks: Arc<Mutex<Vec<String>>>,
    /// Every job has a copy: when all are dropped, nothing is under way any more.
    under_way: mpsc::Sender<()>,
}

impl Jobs {
    /// The receiver says `None` when these and all their jobs are gone.
    pub fn new(app: TestApp) -> (Self, mpsc::Receiver<()>) {
        let (under_way, all_over) = mpsc::channel(1);
        (Self { app: Arc::new(app), hooks: Arc::default(), under_way }, all_over)
    }

    pub fn job(&self, id: &str, fate: Fate) -> Job {
        let mut event = self.app.server.app.event("test.job", self.app.clock.now());
        event.resource = Some(id.to_owned());
        let (hooks, under_way) = (Arc::clone(&self.hooks), self.under_way.clone());
        Job { id: id.to_owned(), fate, event, hooks, _under_way: under_way }
    }

    /// The jobs whose hooks ran, in order of their ids, whether or not they are under way still.
    pub fn hooks(&self) -> impl FnOnce() -> Vec<String> + use<> {
        let hooks = Arc::clone(&self.hooks);
        move || sorted(hooks.lock().unwrap().clone())
    }
}

/// The jobs that the record knows, in order of their ids.
pub async fn recorded(app: &TestApp) -> Vec<String> {
    let sql = "SELECT body FROM audit_events WHERE action = 'test.job'";
    let rows = app.server.app.db.query(sql, params![]).await.unwrap();
    let job = |mut row: Row| {
        let event: Value = serde_json::from_str(&row.take::<String>().unwrap()).unwrap();
        event["resource"].as_str().unwrap().to_owned()
    };
    sorted(rows.into_iter().map(job).collect())
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list
}
