//! From a configuration to a running server, and back.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign_ground::clock::{Clock, Time};
use countersign_ground::config::{Config, Fault};
use countersign_ground::db::{self, Applied, Db};
use countersign_ground::entropy::Entropy;
use countersign_ground::ids::EventId;
use countersign_ground::keyring::{KeyRing, MasterKey, Masters, RingError, State};
use countersign_ground::record::{Event, Record};
use countersign_ground::secret::Secret;
use countersign_ground::shared::Shared;
use countersign_policy::{Matrix, Policies, Registry, Routes};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::{App, Outage, Parts};
use crate::doors::serve::serve;
#[cfg(feature = "ext-authz")]
use crate::doors::serve::serve_http2;
use crate::doors::tls::{Tls, TlsError};
use crate::features::activity::Activity;
use crate::features::audit::http::stream;
use crate::features::audit::sink::Sink;
use crate::features::credentials::vault::{self, Vault};
use crate::features::documents::{self, DocumentError, Kind, Origin, Source};
use crate::features::keys::{self, RingChange};
use crate::features::operators::bootstrap::{self, BootstrapError, BootstrapToken};
use crate::features::policy::PolicyDirectory;
use crate::features::quotas::Quotas;
use crate::features::rbac::{MatrixError, leaves_somebody};
use crate::features::{agents, credentials, guards, oauth, operators, tenants};
use crate::law::directory::Directory;
use crate::law::following::Following;
use crate::law::permit::{Job, Permit};
use crate::law::{self, Law};
use crate::metrics::Metrics;
use crate::migrations::MIGRATIONS;
use crate::{jobs, nodes, router};

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
    /// The same for the port that Envoy asks.
    #[error("EXT_AUTHZ_PORT: can't listen on {0}: {1}")]
    ListenExtAuthz(SocketAddr, std::io::Error),
    /// Nobody would answer there.
    #[error("EXT_AUTHZ_PORT: this program was built without the feature `ext-authz`")]
    NoExtAuthz,
    /// It can't be used at all; that it does not answer is no reason.
    #[error("VAULT_ADDR: {0}")]
    Vault(String),
    /// HTTPS can't be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Its address can't be used.
    #[error("REDIS_URL: {0}")]
    Redis(String),
    /// It can't be asked at all.
    #[error("AUDIT_SEAL_SINK: {0}")]
    Sink(String),
    /// The role matrix can't be used.
    #[error("RBAC_POLICY_FILE: {0}")]
    Matrix(MatrixError),
    /// The registry can't be used.
    #[error("REGISTRY_FILE: {0}")]
    Registry(DocumentError),
    /// The route table can't be used.
    #[error("ROUTES_FILE: {0}")]
    Routes(DocumentError),
    /// The policy directory can't be used.
    #[error("POLICY_DIR: {0}")]
    Packages(DocumentError),
}

/// Brings the database up to date.
///
/// # Errors
/// When it can't be reached or a step fails.
pub async fn migrate(config: &Config, environs: &Environs) -> Result<Applied, StartError> {
    Ok(db::migrate(&config.migrate, MIGRATIONS, environs.clock.now()).await?)
}

/// What is wrong with the files that a configuration names, without starting.
#[must_use]
pub fn check(config: &Config) -> Vec<Fault> {
    let matrix = fault::<Matrix>(config.matrix_file.as_deref());
    let registry = fault::<Registry>(config.registry_file.as_deref());
    let routes = fault::<Routes>(config.routes_file.as_deref());
    let policy = fault::<PolicyDirectory>(config.policy_dir.as_deref());
    let tls = config.tls.clone().and_then(|files| Tls::open(files).err());
    let vault = config.vault.as_ref().and_then(vault::fault);
    let vault = vault.map(|what| Fault::new("VAULT_ADDR", what));
    matrix
        .into_iter()
        .chain(registry)
        .chain(routes)
        .chain(policy)
        .chain(vault)
        .chain(tls.map(|error| error.fault()))
        .collect()
}

/// What is wrong with a file of this kind.
fn fault<K: Kind>(path: Option<&Path>) -> Option<Fault> {
    let told = |fault: String| Fault::new(K::VARIABLE, fault);
    match K::text(path?) {
        Ok(text) => documents::read::<K>(&text).err().map(|error| told(error.to_string())),
        Err(error) => Some(told(error.to_string())),
    }
}

/// A running server.
pub struct Server {
    /// Its parts.
    pub app: App,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where `/metrics` is, if that is elsewhere.
    pub metrics_address: Option<SocketAddr>,
    /// Where Envoy asks, if it may.
    pub ext_authz_address: Option<SocketAddr>,
    /// Where the first operator's token is to be found.
    pub bootstrap: BootstrapToken,
    stop: CancellationToken,
    /// The last request has been answered: until then, what other nodes change is heard.
    ended: CancellationToken,
    listeners: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts: database, keys, memory, jobs, then the doors.
    ///
    /// # Errors
    /// Before a port is bound when anything is wrong with the configuration.
    pub async fn start(mut config: Config, environs: Environs) -> Result<Self, StartError> {
        let Environs { clock, entropy } = environs.clone();
        migrate(&config, &environs).await?;
        let metrics = Arc::new(Metrics::default());
        let db = Db::open(&options(&config), metrics.db.clone()).await?;
        let now = clock.now();
        let unusable = |error: DocumentError| StartError::Matrix(error.into());
        let (rbac, matrix) =
            Origin::start(config.matrix_file.clone(), &db, now).await.map_err(unusable)?;
        let matrix = matrix.unwrap_or_else(|| Arc::new(Matrix::built_in()));
        let (registry, snapshot) = Origin::start(config.registry_file.clone(), &db, now)
            .await
            .map_err(StartError::Registry)?;
        let (routes_origin, routes) = Origin::start(config.routes_file.clone(), &db, now)
            .await
            .map_err(StartError::Routes)?;
        let routes = routes.unwrap_or_else(|| Arc::new(Routes::none()));
        let (policy, rules) = Origin::start::<PolicyDirectory>(config.policy_dir.clone(), &db, now)
            .await
            .map_err(StartError::Packages)?;
        let keys = open_ring(&mut config, &db, &environs).await?;
        let bootstrap = bootstrap::start(&db, &config, keys.digest(), now, &entropy).await?;
        if rbac.file.is_some() {
            admits_somebody(&db, &matrix, now).await.map_err(StartError::Matrix)?;
        }
        let directory = Arc::new(Directory::default());
        // Before memory is filled: what changes meanwhile is read once more.
        let seen = db.change_clock().await?;
        tenants::store::begin(&db, now).await?;
        let overridden = guards::start(&db, &config.guards, now, &entropy).await?;
        overridden.iter().for_each(|warning| tracing::warn!("{warning}"));
        remember(&db, &directory, now).await?;
        let vault = config.vault.take().map(|settings| {
            let parts = vault::Parts {
                db: db.clone(),
                directory: Arc::clone(&directory),
                keys: Arc::clone(&keys),
                metrics: Arc::clone(&metrics),
                clock: clock.clone(),
                entropy: entropy.clone(),
            };
            Vault::new(&settings, parts).map_err(StartError::Vault)
        });
        let vault = vault.transpose()?;

        let tls = config.tls.clone().map(Tls::open).transpose()?.map(Arc::new);
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|error| StartError::Listen(config.listen, error))?;
        let address = listener.local_addr().unwrap_or(config.listen);
        let metrics_listener =
            bound(&config, config.metrics_port, StartError::ListenMetrics).await?;
        let ext_authz_listener =
            bound(&config, config.ext_authz_port, StartError::ListenExtAuthz).await?;
        let ext_authz_address = ext_authz_listener.as_ref().and_then(|one| one.local_addr().ok());
        let metrics_address = metrics_listener.as_ref().and_then(|one| one.local_addr().ok());

        let redis = config.redis.as_ref().map(|url| Shared::new(url, metrics.redis.clone()));
        let redis = redis.transpose().map_err(|error| StartError::Redis(error.to_string()))?;
        let shared = redis.map(Arc::new);
        let sink = config.seal_sink.as_ref().map(Sink::new);
        let sink = sink.transpose().map_err(|error| StartError::Sink(error.to_string()))?;
        let record = Arc::new(Record::new(db.clone(), clock.clone(), entropy.clone()));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let issuer = config.issuer.clone().unwrap_or_else(|| format!("{scheme}://{address}"));
        let parts = law::Parts {
            directory,
            keys: Arc::clone(&keys),
            record: Arc::clone(&record),
            metrics: Arc::clone(&metrics),
            clock: clock.clone(),
            entropy: entropy.clone(),
            issuer: issuer.into(),
            policies: Policies {
                matrix: Arc::clone(&matrix),
                registry: snapshot,
                packages: rules.as_ref().map(|rules| Arc::clone(&rules.packages)),
                authz: rules.as_ref().and_then(|rules| rules.authz.clone()),
                routes: Some(routes),
            },
            open: !config.pdp_require_auth,
            log_allow: config.log_allow_percent,
            fails_open: config.guards.rbac_fails_open,
            following: Following::new(db.engine_name() == "sqlite", config.database_grace),
            shared: shared.clone(),
        };
        metrics.degraded("rbac_fail_open", config.guards.rbac_fails_open);
        metrics.matrix_loaded(true);
        metrics.matrix(&matrix);
        let law = Law::new(parts, config.machine_token.as_ref().map(Secret::reveal));
        guards::remember(&db, &law.guards, &metrics).await?;
        let app = App::new(Parts {
            db,
            record,
            law,
            keys,
            metrics,
            activity: Activity::default(),
            vault,
            tls: tls.clone(),
            quotas: Quotas::default(),
            rbac,
            registry,
            routes: routes_origin,
            policy,
            config,
            clock,
            entropy,
            outage: Outage::default(),
            sink,
            shared,
            newest_seal: watch::Sender::new(0),
            followers: Arc::new(Semaphore::new(stream::MOST)),
            draining: AtomicBool::new(false),
        });
        let stop = CancellationToken::new();
        jobs::start(&app, &stop);
        let ended = CancellationToken::new();
        nodes::follow(&app, seen, &ended);
        jobs::make_next_key(&app);
        let mut listeners =
            vec![tokio::spawn(serve(listener, router::edge(&app), tls, stop.clone()))];
        if let Some(listener) = metrics_listener {
            let edge = router::metrics_edge(&app);
            listeners.push(tokio::spawn(serve(listener, edge, None, stop.clone())));
        }
        if let Some(listener) = ext_authz_listener {
            listeners.push(serve_envoy(listener, &app, &stop)?);
        }
        Ok(Self {
            app,
            address,
            metrics_address,
            ext_authz_address,
            bootstrap,
            stop,
            ended,
            listeners,
        })
    }

    /// Reads the files again that may change while the server runs: one that can't be used leaves
    /// what was in force.
    pub async fn reread(&self) {
        if self.app.rbac.file.is_some() {
            jobs::read_matrix_again(&self.app).await;
        }
        if self.app.registry.file.is_some() {
            jobs::read_registry_again(&self.app).await;
        }
        if self.app.routes.file.is_some() {
            jobs::read_routes_again(&self.app).await;
        }
        if self.app.policy.file.is_some() {
            jobs::read_policy_again(&self.app).await;
        }
        jobs::refresh_certificates(&self.app);
    }

    /// Seals what waits for it, without waiting for the second to be over.
    ///
    /// # Errors
    /// When the database fails, or the key of seals can't be opened.
    pub async fn seal(&self) -> db::Result<()> {
        jobs::seal(&self.app).await
    }

    /// Stops taking work, finishes what has begun, writes what is still in memory.
    pub async fn stop(self) {
        self.app.draining.store(true, Ordering::Relaxed);
        self.stop.cancel();
        for listener in self.listeners {
            // Only a panic in the accept loop, which has been logged.
            let _ = listener.await;
        }
        self.ended.cancel();
        jobs::finish(&self.app).await;
        self.app.db.close().await;
    }
}

/// A listener of its own beside the API's, where one is wanted.
async fn bound(
    config: &Config,
    port: Option<u16>,
    failed: fn(SocketAddr, std::io::Error) -> StartError,
) -> Result<Option<TcpListener>, StartError> {
    let Some(port) = port else { return Ok(None) };
    let address = SocketAddr::new(config.listen.ip(), port);
    TcpListener::bind(address).await.map(Some).map_err(|error| failed(address, error))
}

#[cfg(feature = "ext-authz")]
fn serve_envoy(
    listener: TcpListener,
    app: &App,
    stop: &CancellationToken,
) -> Result<JoinHandle<()>, StartError> {
    Ok(tokio::spawn(serve_http2(listener, router::envoy_edge(app), stop.clone())))
}

#[cfg(not(feature = "ext-authz"))]
fn serve_envoy(
    _: TcpListener,
    _: &App,
    _: &CancellationToken,
) -> Result<JoinHandle<()>, StartError> {
    Err(StartError::NoExtAuthz)
}

/// The ring, with the key that was given, or with a first one of its own.
async fn open_ring(
    config: &mut Config,
    db: &Db,
    environs: &Environs,
) -> Result<Arc<KeyRing>, StartError> {
    let Environs { clock, entropy } = environs;
    let current = master_key(config, db, entropy).await?;
    let masters = Masters { current, previous: config.master_key_previous.clone() };
    let ring = Arc::new(KeyRing::open(db, masters, clock, entropy).await?);
    if let Some(given) = config.token_key.take() {
        let at = clock.now();
        let event = Event::new(EventId::new(at, entropy), at, "key.imported");
        let (ring, db, ttl) = (Arc::clone(&ring), db.clone(), config.token_ttl);
        let change = RingChange { ring, db, event, ttl, at };
        keys::import(change, Permit::system(Job::KeyImport), given, entropy.clone()).await?;
    }
    ring.ensure(db, config.algorithm, State::Active, clock, entropy).await?;
    Ok(ring)
}

/// Refuses a matrix file under which nobody could mend anything.
async fn admits_somebody(db: &Db, matrix: &Arc<Matrix>, now: Time) -> Result<(), MatrixError> {
    db.write(Arc::clone(matrix), move |tx, matrix| {
        Box::pin(async move { leaves_somebody(tx, matrix, Source::File, now).await })
    })
    .await
}

/// Reads everything into memory that decisions need.
pub(crate) async fn remember(db: &Db, directory: &Arc<Directory>, now: Time) -> db::Result<()> {
    tenants::store::load(db, directory).await?;
    operators::store::load(db, directory).await?;
    agents::store::load(db, directory).await?;
    credentials::store::load(db, directory, Time::MAX).await?;
    oauth::store::load(db, directory, now).await
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
            bootstrap::write_private(&file, made.reveal())
                .map_err(|error| failed(error.to_string()))?;
            made.reveal().to_owned()
        }
        Err(error) => return Err(failed(error.to_string())),
    };
    MasterKey::from_hex(&text).ok_or_else(|| failed("not 64 hex digits".into()))
}
