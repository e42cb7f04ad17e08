//! Metrics. No label takes a value that a caller can make up without bound.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use countersign_ground::{db, shared};
use countersign_policy::{Decision, Effect, Matrix, Permissions, Reason};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// One kind of request, as it is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Http {
    method: &'static str,
    route: Arc<str>,
    status_code: u16,
}

/// Where the requests of one route are counted: a look at a few, where each family would be asked.
pub struct RouteCounts {
    template: Arc<str>,
    kinds: RwLock<Vec<Counted>>,
}

/// Where one kind of request is counted.
struct Counted {
    method: &'static str,
    status_code: u16,
    requests: Counter,
    seconds: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Scope {
    scope: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeploymentEnv {
    deployment_env: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    resource: &'static str,
    action: &'static str,
    decision: &'static str,
    reason: Cow<'static, str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Guarded {
    guard: Arc<str>,
    mode: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GuardName {
    guard: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dependency {
    dependency: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Degraded {
    reason: &'static str,
}

/// Everything that is measured.
pub struct Metrics {
    registry: Registry,
    requests: Family<Http, Counter>,
    seconds: Family<Http, Histogram, fn() -> Histogram>,
    /// Requests being answered.
    pub in_flight: Gauge,
    /// Of the database.
    pub db: db::Metrics,
    tokens_issued: Family<Scope, Counter>,
    agents_registered: Family<DeploymentEnv, Counter>,
    decisions: Family<Decided, Counter>,
    /// Seconds of a decision.
    pub decision_seconds: Histogram,
    guarded: Family<Guarded, Counter>,
    guard_mode: Family<GuardName, Gauge>,
    guard_percent: Family<GuardName, Gauge>,
    dependency_up: Family<Dependency, Gauge>,
    degraded: Family<Degraded, Gauge>,
    /// The same, for whoever asks for the words.
    without: Mutex<BTreeSet<&'static str>>,
    seal_lag: Gauge<f64, AtomicU64>,
    /// Seconds of a command to Redis.
    pub redis: shared::Seconds,
    matrix_loads: Family<Status, Counter>,
    matrix: Family<MatrixVersion, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MatrixVersion {
    version: String,
    hash: String,
}

/// In place of a word that anybody can make up.
const OTHER: &str = "other";

/// 100 µs to 2.5 s; the contract's buckets from 5 ms on.
const SECONDS: [f64; 20] = [
    0.000_1, 0.000_2, 0.000_3, 0.000_4, 0.000_5, 0.000_6, 0.000_8, 0.001, 0.001_5, 0.002_5, 0.005,
    0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5,
];

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            in_flight: Gauge::default(),
            db: db::Metrics::default(),
            tokens_issued: Family::default(),
            agents_registered: Family::default(),
            decisions: Family::default(),
            decision_seconds: Histogram::new([1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 1e-3]),
            guarded: Family::default(),
            guard_mode: Family::default(),
            guard_percent: Family::default(),
            dependency_up: Family::default(),
            degraded: Family::default(),
            without: Mutex::default(),
            seal_lag: Gauge::default(),
            redis: shared::seconds(),
            matrix_loads: Family::default(),
            matrix: Family::default(),
        };
        metrics.register();
        metrics
    }
}

impl RouteCounts {
    /// Of requests that match `/api/v1/agents/{id}`, which is counted as `/api/v1/agents/:id`.
    #[must_use]
    pub fn new(template: &str) -> Self {
        let template = template.replace('{', ":").replace('}', "").into();
        Self { template, kinds: RwLock::default() }
    }

    /// The template as it is counted.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.template
    }

    /// Counts an answered request.
    pub fn answered(&self, metrics: &Metrics, method: &'static str, status_code: u16, secs: f64) {
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        let same = |one: &&Counted| one.method == method && one.status_code == status_code;
        if let Some(known) = kinds.iter().find(same) {
            known.requests.inc();
            known.seconds.observe(secs);
            return;
        }
        drop(kinds);
        let label = Http { method, route: Arc::clone(&self.template), status_code };
        let requests = metrics.requests.get_or_create_owned(&label);
        let seconds = metrics.seconds.get_or_create_owned(&label);
        requests.inc();
        seconds.observe(secs);
        let new = Counted { method, status_code, requests, seconds };
        self.kinds.write().unwrap_or_else(PoisonError::into_inner).push(new);
    }
}

/// Counts decisions, most of which are like the one before.
pub struct Answering<'m> {
    metrics: &'m Metrics,
    last: Option<(Effect, Reason, Counter)>,
}

impl Answering<'_> {
    /// Counts one.
    pub fn count(&mut self, decision: &Decision) {
        let (effect, reason) = (decision.effect(), decision.reason());
        if let Some((last, because, counter)) = &self.last
            && (*last, because) == (effect, reason)
        {
            counter.inc();
            return;
        }
        let counter = self.metrics.decided(OTHER, OTHER, decision);
        counter.inc();
        self.last = Some((effect, reason.clone(), counter));
    }
}

impl Metrics {
    fn register(&mut self) {
        // The registry's encoder appends `_total` to counters.
        let r = &mut self.registry;
        r.register("agentidp_http_requests", "Requests answered", self.requests.clone());
        r.register(
            "agentidp_http_request_duration_seconds",
            "Seconds to the answer",
            self.seconds.clone(),
        );
        r.register("http_requests_in_flight", "Requests being answered", self.in_flight.clone());
        r.register("agentidp_tokens_issued", "Tokens issued", self.tokens_issued.clone());
        r.register(
            "agentidp_agents_registered",
            "Agents registered",
            self.agents_registered.clone(),
        );
        r.register("rbac_decisions", "Decisions made", self.decisions.clone());
        r.register("rbac_latency_seconds", "Seconds to decide", self.decision_seconds.clone());
        r.register("guard_decisions", "Decisions behind guards", self.guarded.clone());
        r.register("guard_mode", "0 off, 1 observe, 2 enforce", self.guard_mode.clone());
        r.register("guard_percent", "For how many of a hundred", self.guard_percent.clone());
        r.register("audit_events", "Events in the record", self.db.events.clone());
        r.register("db_pool_in_use", "Database connections in use", self.db.in_use.clone());
        r.register("dependency_up", "1 while it answers", self.dependency_up.clone());
        r.register("degraded", "1 while the server does without", self.degraded.clone());
        r.register(
            "audit_seal_lag_seconds",
            "For how long the oldest event waits for its seal",
            self.seal_lag.clone(),
        );
        r.register(
            "agentidp_redis_command_duration_seconds",
            "Seconds of a command to Redis",
            self.redis.clone(),
        );
        r.register(
            "agentidp_db_query_duration_seconds",
            "Seconds of a call to the database",
            self.db.queries.clone(),
        );
        r.register("rbac_policy_loads", "Times a role matrix was read", self.matrix_loads.clone());
        r.register("rbac_policy_version_info", "The role matrix in force", self.matrix.clone());
        let build = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("revision", option_env!("COUNTERSIGN_REVISION").unwrap_or("unknown")),
        ];
        r.register("build", "What is running", Info::new(build.to_vec()));
    }

    /// Where decisions like this one are counted.
    #[must_use]
    pub fn decided(
        &self,
        resource: &'static str,
        action: &'static str,
        decision: &Decision,
    ) -> Counter {
        // Reasons are made of roles and permissions of the matrix, and a few fixed words.
        let reason = match decision.reason() {
            Reason::Relationship(_) => "relationship".into(),
            Reason::Stated(_) => OTHER.into(),
            reason => match reason.fixed() {
                Some(word) => word.into(),
                None => reason.to_string().into(),
            },
        };
        let word = if decision.effect() == Effect::Allow { "allowed" } else { "denied" };
        let label = Decided { resource, action, decision: word, reason };
        self.decisions.get_or_create_owned(&label)
    }

    /// Where decisions are counted whose words anybody can make up.
    #[must_use]
    pub fn decided_elsewhere(&self, decision: &Decision) -> Counter {
        self.decided(OTHER, OTHER, decision)
    }

    /// Where it is counted what a guard did: `allowed`, `would_deny` or `denied`.
    #[must_use]
    pub fn guarded(&self, guard: &str, mode: &'static str, outcome: &'static str) -> Counter {
        self.guarded.get_or_create_owned(&Guarded { guard: guard.into(), mode, outcome })
    }

    /// Notes what a guard does from now on: 0 off, 1 observe, 2 enforce, and for how many of a hundred.
    pub fn guard(&self, guard: &Arc<str>, mode: i64, percent: u8) {
        let label = GuardName { guard: Arc::clone(guard) };
        self.guard_mode.get_or_create(&label).set(mode);
        self.guard_percent.get_or_create(&label).set(i64::from(percent));
    }

    /// Counts the answers to a request's questions, whose words anybody can make up.
    #[must_use]
    pub fn answering(&self) -> Answering<'_> {
        Answering { metrics: self, last: None }
    }

    /// Counts a token, once for each scope that the matrix knows; all others are `other`.
    pub fn token_issued(&self, scopes: &Permissions, matrix: &Matrix) {
        for scope in scopes.iter() {
            let known = matrix.knows(scope.as_str());
            let scope: Arc<str> = if known { scope.shared() } else { OTHER.into() };
            self.tokens_issued.get_or_create(&Scope { scope }).inc();
        }
    }

    /// Counts a registered agent.
    pub fn agent_registered(&self, deployment_env: &'static str) {
        self.agents_registered.get_or_create(&DeploymentEnv { deployment_env }).inc();
    }

    /// Notes whether a dependency answers.
    pub fn dependency(&self, dependency: &'static str, up: bool) {
        self.dependency_up.get_or_create(&Dependency { dependency }).set(i64::from(up));
    }

    /// Notes that the server does, or no longer does, without something.
    pub fn degraded(&self, reason: &'static str, is_so: bool) {
        self.degraded.get_or_create(&Degraded { reason }).set(i64::from(is_so));
        let mut without = self.without.lock().unwrap_or_else(PoisonError::into_inner);
        if is_so {
            without.insert(reason);
        } else {
            without.remove(reason);
        }
    }

    /// What the server does without at the moment.
    #[must_use]
    pub fn degraded_by(&self) -> BTreeSet<&'static str> {
        self.without.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes for how long the oldest event has been waiting for its seal.
    pub fn seal_lag(&self, lag: Duration) {
        self.seal_lag.set(lag.as_secs_f64());
    }

    /// Counts a reading of the role matrix.
    pub fn matrix_loaded(&self, usable: bool) {
        let status = if usable { "success" } else { "failure" };
        self.matrix_loads.get_or_create(&Status { status }).inc();
    }

    /// Notes which role matrix is in force.
    pub fn matrix(&self, matrix: &Matrix) {
        self.matrix.clear();
        let (version, hash) = (matrix.version().to_owned(), matrix.hash().to_owned());
        self.matrix.get_or_create(&MatrixVersion { version, hash }).set(1);
    }

    /// OpenMetrics 1.0 text.
    #[must_use]
    pub fn openmetrics(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Prometheus text 0.0.4: there a family carries `_total` or `_info` in its own name.
    #[must_use]
    pub fn prometheus(&self) -> String {
        let openmetrics = self.openmetrics();
        let kinds: HashMap<&str, &str> = openmetrics
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
            .collect();
        let mut text = String::with_capacity(openmetrics.len());
        for line in openmetrics.lines().filter(|line| *line != "# EOF") {
            let mut words = line.splitn(4, ' ');
            let (hash, keyword, name) = (words.next(), words.next(), words.next());
            match (hash, keyword, name) {
                (Some("#"), Some("UNIT"), _) => continue,
                (Some("#"), Some(keyword), Some(name)) => {
                    let suffix = match kinds.get(name) {
                        Some(&"counter") => "_total",
                        Some(&"info") => "_info",
                        _ => "",
                    };
                    // OpenMetrics has a type for it, this older form has not.
                    let rest = words.next().unwrap_or_default();
                    let rest = if rest == "info" { "gauge" } else { rest };
                    text.push_str(&format!("# {keyword} {name}{suffix} {rest}\n"));
                }
                _ => {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
        text
    }
}
