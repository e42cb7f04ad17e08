//! From a configuration to a running server, and back.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign_ground::clock::{Clock, Time};
use countersign_ground::config::{Config, Environment};
use countersign_ground::db::{self, Applied, Db};
use countersign_ground::entropy::Entropy;
use countersign_ground::keyring::{KeyRing, MasterKey, RingError};
use countersign_ground::record::Record;
use countersign_ground::secret::Secret;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::{App, Outage, Parts};
use crate::doors::serve::serve;
use crate::features::activity::Activity;
use crate::features::operators::{self, BootstrapError, BootstrapToken};
use crate::features::{agents, credentials, oauth};
use crate::law::directory::Directory;
use crate::law::{self, Law};
use crate::metrics::Metrics;
use crate::migrations::MIGRATIONS;
use crate::{jobs, router};

/// What a server takes from outside besides its configuration.
#[derive(Debug, Clone)]
pub struct Environs {
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
}

impl Default for Environs {
    fn default() -> Self {
        Self { clock: Clock::System, entropy: Entropy::System }
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Can't be reached, or not be migrated.
    #[error("DATABASE_URL: {0}")]
    Database(#[from] db::Error),
    /// Can't be opened.
    #[error("{0}")]
    Ring(#[from] RingError),
    /// The embedded master key can't be read or written.
    #[error("MASTER_KEY: `{0}`: {1}")]
    MasterKey(PathBuf, String),
    /// The first operator can't be set up.
    #[error("BOOTSTRAP_ADMIN_TOKEN: {0}")]
    Bootstrap(#[from] BootstrapError),
    /// The port is taken, or not ours to take.
    #[error("HOST, PORT: can't listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The same for the port of the metrics.
    #[error("METRICS_PORT: can't listen on {0}: {1}")]
    ListenMetrics(SocketAddr, std::io::Error),
    /// Token keys must be given in production, and this version can't take them.
    #[error(
        "COUNTERSIGN_ENV: production needs token keys that are given, and this version only \
         generates them"
    )]
    GeneratedKeys,
}

/// Brings the database up to date.
///
/// # Errors
/// When it can't be reached or a step fails.
pub async fn migrate(config: &Config, environs: &Environs) -> Result<Applied, StartError> {
    Ok(db::migrate(&config.migrate, MIGRATIONS, environs.clock.now()).await?)
}

/// A running server.
pub struct Server {
    /// Its parts.
    pub app: App,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where `/metrics` is, if that is elsewhere.
    pub metrics_address: Option<SocketAddr>,
    /// Where the first operator's token is to be found.
    pub bootstrap: BootstrapToken,
    stop: CancellationToken,
    listeners: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts: database, keys, memory, jobs, then the doors.
    ///
    /// # Errors
    /// Before a port is bound when anything is wrong with the configuration.
    pub async fn start(config: Config, environs: Environs) -> Result<Self, StartError> {
        let Environs { clock, entropy } = environs.clone();
        if config.environment == Environment::Production {
            return Err(StartError::GeneratedKeys);
        }
        migrate(&config, &environs).await?;
        let metrics = Arc::new(Metrics::default());
        let db = Db::open(&options(&config), metrics.db.clone()).await?;
        let master = Arc::new(master_key(&config, &db, &entropy).await?);
        let keys = Arc::new(KeyRing::open(&db, &master, config.algorithm, &clock, &entropy).await?);
        let directory = Arc::new(Directory::default());
        let now = clock.now();
        let bootstrap =
            operators::start(&db, &config, keys.digest(), &directory, now, &entropy).await?;
        agents::store::load(&db, &directory).await?;
        credentials::store::load(&db, &directory, Time::MAX).await?;
        oauth::store::load(&db, &directory, now).await?;

        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|error| StartError::Listen(config.listen, error))?;
        let address = listener.local_addr().unwrap_or(config.listen);
        let metrics_listener = match config.metrics_port {
            Some(port) => {
                let address = SocketAddr::new(config.listen.ip(), port);
                let bound = TcpListener::bind(address).await;
                Some(bound.map_err(|error| StartError::ListenMetrics(address, error))?)
            }
            None => None,
        };
        let metrics_address = metrics_listener.as_ref().and_then(|one| one.local_addr().ok());

        let record = Arc::new(Record::new(db.clone(), clock.clone(), entropy.clone()));
        let issuer = config.issuer.clone().unwrap_or_else(|| format!("http://{address}"));
        let parts = law::Parts {
            directory,
            keys: Arc::clone(&keys),
            record: Arc::clone(&record),
            metrics: Arc::clone(&metrics),
            clock: clock.clone(),
            entropy: entropy.clone(),
            issuer: issuer.into(),
        };
        let law = Law::new(parts, config.machine_token.as_ref().map(Secret::reveal));
        let app = App::new(Parts {
            db,
            record,
            law,
            keys,
            metrics,
            activity: Activity::default(),
            config,
            clock,
            entropy,
            outage: Outage::default(),
            draining: AtomicBool::new(false),
        });
        let stop = CancellationToken::new();
        jobs::start(&app, &stop);
        make_next_key(&app, master);
        let mut listeners = vec![tokio::spawn(serve(listener, router::edge(&app), stop.clone()))];
        if let Some(listener) = metrics_listener {
            let edge = router::metrics_edge(&app);
            listeners.push(tokio::spawn(serve(listener, edge, stop.clone())));
        }
        Ok(Self { app, address, metrics_address, bootstrap, stop, listeners })
    }

    /// Stops taking work, finishes what has begun, writes what is still in memory.
    pub async fn stop(self) {
        self.app.draining.store(true, Ordering::Relaxed);
        self.stop.cancel();
        for listener in self.listeners {
            // Only a panic in the accept loop, which has been logged.
            let _ = listener.await;
        }
        jobs::finish(&self.app).await;
        self.app.db.close().await;
    }
}

fn options(config: &Config) -> db::Options {
    db::Options {
        url: config.database.clone(),
        pool_size: config.pool_size,
        timeout: config.database_timeout,
    }
}

/// The configured master key, or the one in the file beside an embedded database.
async fn master_key(config: &Config, db: &Db, entropy: &Entropy) -> Result<MasterKey, StartError> {
    if let Some(key) = &config.master_key {
        return Ok(key.clone());
    }
    let folder = config.data_folder().unwrap_or(std::path::Path::new("."));
    let file = folder.join("master-key");
    let failed = |what: String| StartError::MasterKey(file.clone(), what);
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if !KeyRing::is_empty(db).await? {
                return Err(failed(
                    "it is gone, and with it what opens this database: put it back".into(),
                ));
            }
            let made = Secret::generate("", entropy);
            operators::write_private(&file, made.reveal())
                .map_err(|error| failed(error.to_string()))?;
            made.reveal().to_owned()
        }
        Err(error) => return Err(failed(error.to_string())),
    };
    MasterKey::from_hex(&text).ok_or_else(|| failed("not 64 hex digits".into()))
}

/// The next token key is made beside the work: an RSA key takes a while.
fn make_next_key(app: &App, master: Arc<MasterKey>) {
    let app = app.clone();
    tokio::spawn(async move {
        let algorithm = app.config.algorithm;
        let made = app.keys.ensure_next(&app.db, &master, algorithm, &app.clock, &app.entropy);
        if let Err(error) = made.await {
            tracing::warn!(%error, "the next token key was not made; a restart tries again");
        }
    });
}
