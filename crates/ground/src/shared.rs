//! What nodes share through Redis, where there is one: nudges and limits. Hints alone: nothing that is
//! correct with it is wrong without.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, IntoConnectionInfo, RedisError, Script};

use crate::clock::Stopwatch;

/// Longer nobody waits for a hint.
const PATIENCE: Duration = Duration::from_millis(100);
/// After a failure it is left alone for so long.
const PAUSE: Duration = Duration::from_secs(1);
/// What is published when something has changed that every node must notice.
const CHANNEL: &str = "countersign:changes";

/// Counts in a window; the key goes when the window is over.
const TAKE: &str = "local n = redis.call('INCR', KEYS[1])
if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return n";

/// A Redis server's address.
#[derive(Debug, Clone)]
pub struct RedisUrl(String);

impl std::str::FromStr for RedisUrl {
    type Err = crate::ids::ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_one = text.starts_with("redis://") || text.starts_with("rediss://");
        if !is_one || text.into_connection_info().is_err() {
            return Err(crate::ids::ParseIdError { wanted: "`redis://…` or `rediss://…`" });
        }
        Ok(Self(text.to_owned()))
    }
}

/// Which command was sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Command {
    /// In lower case.
    pub command: &'static str,
}

/// How long commands take.
pub type Seconds = Family<Command, Histogram, fn() -> Histogram>;

/// An empty [`Seconds`].
#[must_use]
pub fn seconds() -> Seconds {
    Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_1, 2.0, 14)))
}

/// A Redis server that may or may not answer.
pub struct Shared {
    client: Client,
    connection: ConnectionManager,
    take: Script,
    seconds: Seconds,
    watch: Stopwatch,
    /// Left alone until then, in microseconds by `watch`.
    alone_until: AtomicU64,
    up: AtomicBool,
}

impl Shared {
    /// Connects when it is first needed, and again whenever it must. Call within a runtime.
    ///
    /// # Errors
    /// When the address can't be used at all.
    pub fn new(url: &RedisUrl, seconds: Seconds) -> Result<Self, RedisError> {
        let client = Client::open(url.0.as_str())?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
        Ok(Self {
            client,
            connection,
            take: Script::new(TAKE),
            seconds,
            watch: Stopwatch::start(),
            alone_until: AtomicU64::new(0),
            up: AtomicBool::new(true),
        })
    }

    /// Asks for a sign of life.
    pub async fn ping(&self) -> bool {
        let mut connection = self.connection.clone();
        let ping = redis::cmd("PING");
        self.timed("ping", ping.query_async::<String>(&mut connection)).await.is_some()
    }

    /// Tells the other nodes that something has changed.
    pub async fn nudge(&self) {
        if self.is_left_alone() {
            return;
        }
        let mut connection = self.connection.clone();
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(CHANNEL).arg("");
        self.timed("publish", publish.query_async::<i64>(&mut connection)).await;
    }

    /// Counts one more for `key` in a window that is over in `left`; gives the count with it. `None`
    /// when it does not answer: whoever asks counts for itself then.
    pub async fn count(&self, key: &str, left: Duration) -> Option<i64> {
        if self.is_left_alone() {
            return None;
        }
        let mut connection = self.connection.clone();
        let mut call = self.take.key(format!("countersign:limit:{key}"));
        call.arg(left.as_millis().max(1).to_string());
        self.timed("evalsha", call.invoke_async::<i64>(&mut connection)).await
    }

    /// Calls `nudged` whenever a node tells of a change; returns when the connection is lost.
    ///
    /// # Errors
    /// When it can't be reached.
    pub async fn listen(&self, nudged: impl Fn()) -> Result<(), RedisError> {
        let mut listener = self.client.get_async_pubsub().await?;
        listener.subscribe(CHANNEL).await?;
        let mut messages = listener.on_message();
        while messages.next().await.is_some() {
            nudged();
        }
        Ok(())
    }

    async fn timed<T>(
        &self,
        command: &'static str,
        answer: impl Future<Output = Result<T, RedisError>>,
    ) -> Option<T> {
        let watch = Stopwatch::start();
        // Connecting has a limit of its own; both together still are one hint.
        let answer = tokio::time::timeout(2 * PATIENCE, answer).await;
        self.seconds.get_or_create(&Command { command }).observe(watch.elapsed().as_secs_f64());
        let answer = answer.ok().and_then(Result::ok);
        let was_up = self.up.swap(answer.is_some(), Ordering::Relaxed);
        if answer.is_none() {
            let until = self.watch.elapsed() + PAUSE;
            let until = u64::try_from(until.as_micros()).unwrap_or(u64::MAX);
            self.alone_until.store(until, Ordering::Relaxed);
            if was_up {
                tracing::warn!("Redis does not answer: limits are counted by each node for itself");
            }
        } else if !was_up {
            tracing::info!("Redis answers again");
        }
        answer
    }

    fn is_left_alone(&self) -> bool {
        let now = u64::try_from(self.watch.elapsed().as_micros()).unwrap_or(u64::MAX);
        now < self.alone_until.load(Ordering::Relaxed)
    }
}
