//! Configuration: flags before environment before file before defaults, read once.
//!
//! Every variable stands in the table of `settings`, with its default and its meaning; a value
//! that can't be used is a [`Fault`] that names the variable and says what it should be.

mod guards;
mod proxies;
mod settings;
mod sink;
mod sources;
mod tls;
mod vault;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use tracing_subscriber::EnvFilter;

use crate::db::DatabaseUrl;
use crate::keyring::{Algorithm, GivenKey, MasterKey, PublicHalf};
use crate::secret::Secret;
use crate::shared::RedisUrl;

pub use guards::GuardSettings;
pub use settings::{SETTINGS, Setting};
pub use sink::SealSink;
use sources::Values;
pub use sources::{Effective, Fault, Source, Sources};
pub use tls::TlsFiles;
pub use vault::{VaultAddress, VaultSettings};

/// Whether mistakes that are fine on a desk are fatal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Keys are generated, plain HTTP is fine.
    Development,
    /// Refuses what should not be in production.
    Production,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One object a line.
    Json,
}

/// What a process runs with.
#[derive(Debug)]
pub struct Config {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// The database.
    pub database: DatabaseUrl,
    /// Where migrations go: directly, when the database is behind a pooler.
    pub migrate: DatabaseUrl,
    /// Connections.
    pub pool_size: usize,
    /// How long a request waits for the database.
    pub database_timeout: Duration,
    /// How long the server stays ready without its database.
    pub database_grace: Duration,
    /// Where nodes share limits and nudges.
    pub redis: Option<RedisUrl>,
    /// `iss`, unless it follows from the address that is bound.
    pub issuer: Option<String>,
    /// Development or production.
    pub environment: Environment,
    /// Seals the key ring; a file beside an embedded database when not given.
    pub master_key: Option<MasterKey>,
    /// Opens what an earlier master key sealed.
    pub master_key_previous: Option<MasterKey>,
    /// A token key that is given.
    pub token_key: Option<GivenKey>,
    /// Algorithm of generated token keys.
    pub algorithm: Algorithm,
    /// How long a token key signs.
    pub rotate_every: Option<Duration>,
    /// How long a token lives.
    pub token_ttl: Duration,
    /// `Access-Control-Allow-Origin`.
    pub cors_origin: String,
    /// The shared machine token.
    pub machine_token: Option<Secret>,
    /// The first operator's token.
    pub bootstrap_token: Option<Secret>,
    /// Who may say for whom a request is made.
    pub trusted_proxies: Vec<IpNet>,
    /// In which header they hand on the certificate that their client has proved to own.
    pub client_cert_header: Option<HeaderName>,
    /// The role matrix, if it is not the one that is built in or uploaded.
    pub matrix_file: Option<PathBuf>,
    /// The registry, if it is not uploaded.
    pub registry_file: Option<PathBuf>,
    /// The route table, if it is not uploaded.
    pub routes_file: Option<PathBuf>,
    /// What guards start with.
    pub guards: GuardSettings,
    /// The directory of the packages.
    pub policy_dir: Option<PathBuf>,
    /// Whether questions need a caller who may ask them.
    pub pdp_require_auth: bool,
    /// How many of a hundred allowed questions stand in the record.
    pub log_allow_percent: u8,
    /// Where seals are kept, too.
    pub seal_sink: Option<SealSink>,
    /// How long the record keeps events.
    pub retention_days: Option<i64>,
    /// Where agents' secrets are kept, if not in the database.
    pub vault: Option<VaultSettings>,
    /// HTTPS.
    pub tls: Option<TlsFiles>,
    /// A listener of its own for `/metrics`.
    pub metrics_port: Option<u16>,
    /// A listener for Envoy.
    pub ext_authz_port: Option<u16>,
    /// Filter of log lines.
    pub log_level: String,
    /// Their form; by the terminal when not given.
    pub log_format: Option<LogFormat>,
    /// Every variable as it is in force.
    pub effective: Vec<Effective>,
    /// What looks like a mistake but stops nothing.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// Every fault there is, not only the first.
    pub fn load(sources: &Sources) -> Result<Self, Vec<Fault>> {
        let mut values = Values::gather(sources);
        let host = values.get("HOST", "an IP address such as `127.0.0.1`", host);
        let port = values.get("PORT", "a port, 0 to 65535", parse::<u16>);
        let database = values.get("DATABASE_URL", DATABASE, parse::<DatabaseUrl>);
        let migrate = values.optional("DATABASE_MIGRATE_URL", DATABASE, parse::<DatabaseUrl>);
        let pool_size =
            values.get("DATABASE_POOL_SIZE", "a number from 1 to 1000", within(1, 1000));
        let timeout =
            values.get("DATABASE_TIMEOUT_MS", "milliseconds from 10 to 60000", within(10, 60_000));
        let grace = values.get("DATABASE_GRACE_SECONDS", "seconds from 0 to 3600", within(0, 3600));
        let redis = values.optional(
            "REDIS_URL",
            "`redis://HOST:PORT` or `rediss://USER:PASSWORD@HOST:PORT`",
            parse::<RedisUrl>,
        );
        let issuer = values.optional("ISSUER_URL", ISSUER, issuer);
        let environment =
            values.get("COUNTERSIGN_ENV", "`development` or `production`", environment);
        let master_key = values.optional("MASTER_KEY", "64 hex digits", MasterKey::from_hex);
        let master_key_previous =
            values.optional("MASTER_KEY_PREVIOUS", "64 hex digits", MasterKey::from_hex);
        let token_key = token_key(&mut values);
        let algorithm = values.get("JWT_ALG", "`RS256`, `ES256` or `EdDSA`", parse::<Algorithm>);
        let rotate_days =
            values.optional("JWT_ROTATE_DAYS", "days from 1 to 3650", within(1, 3650));
        let ttl = values.get("TOKEN_TTL_SECONDS", "seconds from 1 to 86400", within(1, 86_400));
        let cors_origin =
            values.get("CORS_ORIGIN", "`*`, or an origin such as `https://app.example`", origin);
        let machine_token =
            values.optional("MACHINE_SECRET_TOKEN", "at least 32 characters", at_least_32);
        let bootstrap_token = values.optional(
            "BOOTSTRAP_ADMIN_TOKEN",
            "`op_live_` and 64 lower-case hex digits",
            operator_token,
        );
        let trusted_proxies = values.get(
            "TRUSTED_PROXIES",
            "addresses or networks with commas between, such as `10.0.0.0/8,::1`",
            proxies::networks,
        );
        let client_cert_header = values.optional(
            "CLIENT_CERT_HEADER",
            "the name of a header with `cert` in it, such as `X-Client-Cert`",
            proxies::certificate_header,
        );
        let matrix_file = values.optional("RBAC_POLICY_FILE", FILE, file);
        let registry_file = values.optional("REGISTRY_FILE", FILE, file);
        let routes_file = values.optional("ROUTES_FILE", FILE, file);
        let policy_dir = values.optional("POLICY_DIR", DIRECTORY, directory).or_else(policies);
        let guards = guards::guards(&mut values);
        let pdp_require_auth = values.get("PDP_REQUIRE_AUTH", "`true` or `false`", parse::<bool>);
        let log_allow =
            values.get("DECISION_LOG_ALLOW_PERCENT", "a number from 0 to 100", within(0, 100));
        let seal_sink = values.optional(
            "AUDIT_SEAL_SINK",
            "`file:PATH`, or an https address (http to this machine alone)",
            sink::seal_sink,
        );
        let retention_days =
            values.optional("AUDIT_RETENTION_DAYS", "days from 1 to 36500", within(1, 36_500));
        let vault = vault::vault(&mut values);
        let tls = tls::tls(&mut values);
        let metrics_port =
            values.optional("METRICS_PORT", "a port, 1 to 65535", parse::<NonZero<u16>>);
        let ext_authz_port =
            values.optional("EXT_AUTHZ_PORT", "a port, 1 to 65535", parse::<NonZero<u16>>);
        let log_level =
            values.get("LOG_LEVEL", "such as `info` or `countersign=debug`", log_filter);
        let log_format = values.optional("LOG_FORMAT", "`pretty` or `json`", log_format);
        let (effective, mut faults, warnings) = values.finish();

        if let (
            Some(host),
            Some(port),
            Some(database),
            Some(pool_size),
            Some(timeout),
            Some(grace),
            Some(environment),
            Some(algorithm),
            Some(ttl),
            Some(cors_origin),
            Some(trusted_proxies),
            Some(pdp_require_auth),
            Some(log_allow),
            Some(log_level),
        ) = (
            host,
            port,
            database,
            pool_size,
            timeout,
            grace,
            environment,
            algorithm,
            ttl,
            cors_origin,
            trusted_proxies,
            pdp_require_auth,
            log_allow,
            log_level,
        ) {
            let config = Self {
                listen: SocketAddr::new(host, port),
                migrate: migrate.unwrap_or_else(|| database.clone()),
                database,
                pool_size: usize::try_from(pool_size).unwrap_or(1),
                database_timeout: Duration::from_millis(timeout),
                database_grace: Duration::from_secs(grace),
                redis,
                issuer,
                environment,
                master_key,
                master_key_previous,
                token_key,
                algorithm,
                rotate_every: rotate_days.map(|days| Duration::from_secs(days * 24 * 3600)),
                token_ttl: Duration::from_secs(ttl),
                cors_origin,
                machine_token,
                bootstrap_token,
                trusted_proxies,
                client_cert_header,
                matrix_file,
                registry_file,
                routes_file,
                guards,
                policy_dir,
                pdp_require_auth,
                log_allow_percent: u8::try_from(log_allow).unwrap_or(100),
                seal_sink,
                retention_days: retention_days.and_then(|days| i64::try_from(days).ok()),
                vault,
                tls,
                metrics_port: metrics_port.map(NonZero::get),
                ext_authz_port: ext_authz_port.map(NonZero::get),
                log_level,
                log_format,
                effective,
                warnings,
            };
            faults.extend(config.contradictions());
            if faults.is_empty() {
                return Ok(config);
            }
        }
        Err(faults)
    }

    /// Reads which database it is, and nothing else.
    ///
    /// # Errors
    /// When it can't be told.
    pub fn database(sources: &Sources) -> Result<DatabaseUrl, Vec<Fault>> {
        let mut values = Values::gather(sources);
        let database = values.get("DATABASE_URL", DATABASE, parse::<DatabaseUrl>);
        let (_, mut faults, _) = values.finish();
        let other = |fault: &Fault| SETTINGS.iter().any(|setting| setting.name == fault.name);
        faults.retain(|fault| fault.name == "DATABASE_URL" || !other(fault));
        database.filter(|_| faults.is_empty()).ok_or(faults)
    }

    /// What each value allows but all of them together do not.
    fn contradictions(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |name: &str, what: &str| faults.push(Fault::new(name, what));
        let embedded = matches!(self.database, DatabaseUrl::Sqlite(_));
        if !embedded && self.master_key.is_none() {
            fault(
                "MASTER_KEY",
                "must be given with PostgreSQL, because nodes must share it: 64 hex digits, for example from `openssl rand -hex 32`",
            );
        }
        if std::mem::discriminant(&self.database) != std::mem::discriminant(&self.migrate) {
            fault("DATABASE_MIGRATE_URL", "must lead to the same database as DATABASE_URL");
        }
        let ports = [("METRICS_PORT", self.metrics_port), ("EXT_AUTHZ_PORT", self.ext_authz_port)];
        for (name, _) in ports.iter().filter(|(_, port)| *port == Some(self.listen.port())) {
            fault(name, "must differ from PORT");
        }
        if self.metrics_port.is_some() && self.metrics_port == self.ext_authz_port {
            fault("EXT_AUTHZ_PORT", "must differ from METRICS_PORT");
        }
        if !self.pdp_require_auth && !self.is_of_this_machine() {
            fault(
                "PDP_REQUIRE_AUTH",
                "must be `true` unless HOST, ISSUER_URL and all of TRUSTED_PROXIES are this machine's own",
            );
        }
        if self.environment == Environment::Production {
            if self.token_key.is_none() {
                fault("JWT_PRIVATE_KEY", "must be given in production, with JWT_PUBLIC_KEY");
            }
            if self.master_key.is_none() {
                fault("MASTER_KEY", "must be given in production");
            }
            if self.cors_origin == "*" {
                fault("CORS_ORIGIN", "must name an origin in production");
            }
            if self.guards.rbac_fails_open {
                fault("RBAC_FAIL_OPEN", "must be `false` in production");
            }
            if !self.issuer.as_deref().is_some_and(|issuer| issuer.starts_with("https://")) {
                fault("ISSUER_URL", "must be an `https` URL in production");
            }
            let remote = |vault: &VaultSettings| !vault.address.is_loopback();
            if self.vault.as_ref().is_some_and(|vault| vault.address.is_plain() && remote(vault)) {
                fault(
                    "VAULT_ADDR",
                    "must be an `https` URL in production, or lead to this machine",
                );
            }
        }
        faults
    }

    /// Whether nobody beyond this machine can reach the server, or is taken at their word.
    fn is_of_this_machine(&self) -> bool {
        let own = |net: &IpNet| net.network().is_loopback() && net.broadcast().is_loopback();
        self.listen.ip().is_loopback()
            && self.issuer.as_deref().is_none_or(leads_here)
            && self.trusted_proxies.iter().all(own)
    }

    /// The folder of an embedded database: where generated secrets are kept.
    #[must_use]
    pub fn data_folder(&self) -> Option<&Path> {
        match &self.database {
            DatabaseUrl::Sqlite(path) => Some(path.parent().unwrap_or(Path::new("."))),
            DatabaseUrl::Postgres(_) => None,
        }
    }

    /// Where the generated token of the first operator is kept.
    #[must_use]
    pub fn bootstrap_token_file(&self) -> PathBuf {
        self.data_folder().unwrap_or(Path::new("countersign-data")).join("bootstrap-token")
    }
}

/// Both halves of a pair, which must match.
fn token_key(values: &mut Values) -> Option<GivenKey> {
    let private = values.read("JWT_PRIVATE_KEY", GivenKey::from_pem);
    let public = values.read("JWT_PUBLIC_KEY", PublicHalf::from_pem);
    match (private, public) {
        (Some(private), Some(public)) => {
            let matches = private.matches(&public);
            if let Err(error) = &matches {
                values.fault("JWT_PUBLIC_KEY", error.to_string());
            }
            matches.is_ok().then_some(private)
        }
        (Some(_), None) => {
            values.fault("JWT_PUBLIC_KEY", "must be given together with JWT_PRIVATE_KEY");
            None
        }
        (None, Some(_)) => {
            values.fault("JWT_PRIVATE_KEY", "must be given together with JWT_PUBLIC_KEY");
            None
        }
        (None, None) => None,
    }
}

const DIRECTORY: &str = "the path of a directory that can be read";
const FILE: &str = "the path of a file that can be read";

fn file(text: &str) -> Option<PathBuf> {
    std::fs::File::open(text).is_ok().then(|| PathBuf::from(text))
}

fn directory(text: &str) -> Option<PathBuf> {
    std::fs::read_dir(text).is_ok().then(|| PathBuf::from(text))
}

/// The policy directory that is taken where none is named.
fn policies() -> Option<PathBuf> {
    directory("policies")
}

const DATABASE: &str = "`sqlite://PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`; \
    there `sslmode` is one of libpq's, and those that verify need `sslrootcert`";
const ISSUER: &str = "an absolute `http` or `https` URL without query and fragment";

fn leads_here(url: &str) -> bool {
    let url = url::Url::parse(url).ok();
    match url.as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn parse<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn log_filter(text: &str) -> Option<String> {
    EnvFilter::try_new(text).is_ok().then(|| text.to_owned())
}

fn host(text: &str) -> Option<IpAddr> {
    if text == "localhost" { "127.0.0.1".parse().ok() } else { text.parse().ok() }
}

fn within(least: u64, most: u64) -> impl Fn(&str) -> Option<u64> {
    move |text| text.parse().ok().filter(|number| (least..=most).contains(number))
}

fn issuer(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    let plain = ["http", "https"].contains(&url.scheme())
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty();
    plain.then(|| text.trim_end_matches('/').to_owned())
}

fn environment(text: &str) -> Option<Environment> {
    match text {
        "development" => Some(Environment::Development),
        "production" => Some(Environment::Production),
        _ => None,
    }
}

fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "pretty" => Some(LogFormat::Pretty),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

fn origin(text: &str) -> Option<String> {
    if text == "*" {
        return Some(text.to_owned());
    }
    let url = url::Url::parse(text).ok()?;
    (url.origin().ascii_serialization() == text).then(|| text.to_owned())
}

fn at_least_32(text: &str) -> Option<Secret> {
    (text.chars().count() >= 32).then(|| Secret::new(text.to_owned()))
}

fn operator_token(text: &str) -> Option<Secret> {
    let digits = text.strip_prefix("op_live_")?;
    let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    (digits.len() == 64 && digits.bytes().all(hex)).then(|| Secret::new(text.to_owned()))
}
