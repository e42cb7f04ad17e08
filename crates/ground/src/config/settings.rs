//! The table of every variable.

/// One variable.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in the environment and (in lower case, too) in the file.
    pub name: &'static str,
    /// What is in force when nobody says otherwise.
    pub default: Option<&'static str>,
    /// Never shown; also read from the file that `NAME_FILE` names.
    pub secret: bool,
    /// What it is for.
    pub meaning: &'static str,
}

const fn plain(name: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { name, default: Some(default), secret: false, meaning }
}

const fn unset(name: &'static str, meaning: &'static str) -> Setting {
    Setting { name, default: None, secret: false, meaning }
}

const fn secret(name: &'static str, meaning: &'static str) -> Setting {
    Setting { name, default: None, secret: true, meaning }
}

/// Every variable that this version reads.
pub const SETTINGS: &[Setting] = &[
    plain("HOST", "127.0.0.1", "address that the API listens on"),
    plain("PORT", "3000", "port that the API listens on"),
    Setting {
        name: "DATABASE_URL",
        default: Some("sqlite://countersign-data/countersign.db"),
        secret: true,
        meaning: "SQLite file (embedded), or `postgres://…` (14 or newer)",
    },
    secret("DATABASE_MIGRATE_URL", "direct address for migrations when DATABASE_URL is a pooler's"),
    plain("DATABASE_POOL_SIZE", "20", "connections"),
    plain("DATABASE_TIMEOUT_MS", "2000", "a request that waits longer answers 503"),
    plain("DATABASE_GRACE_SECONDS", "60", "how long the server stays ready without its database"),
    secret("REDIS_URL", "`redis://…` or `rediss://…`: limits that nodes share, and quicker news"),
    unset("ISSUER_URL", "issuer of tokens; `http://HOST:PORT` when unset"),
    plain("COUNTERSIGN_ENV", "development", "`production` refuses what is unsafe there"),
    secret(
        "MASTER_KEY",
        "64 hex digits that seal the key ring; a file beside an embedded database when unset",
    ),
    secret(
        "MASTER_KEY_PREVIOUS",
        "opens what was sealed before; `countersign keys reseal` moves it",
    ),
    secret("JWT_PRIVATE_KEY", "PEM of a token key: RSA-2048 or larger, P-256 or Ed25519"),
    secret("JWT_PUBLIC_KEY", "PEM of its public half; both or none"),
    plain("JWT_ALG", "RS256", "algorithm of generated token keys: RS256, ES256 or EdDSA"),
    unset("JWT_ROTATE_DAYS", "how many days a token key signs before the next one follows it"),
    plain("TOKEN_TTL_SECONDS", "3600", "how long an access token lives"),
    plain("CORS_ORIGIN", "*", "origin that browsers may call from"),
    secret("MACHINE_SECRET_TOKEN", "shared token of machine callers, at least 32 characters"),
    secret(
        "BOOTSTRAP_ADMIN_TOKEN",
        "token of the first operator; generated into a file when unset",
    ),
    plain(
        "TRUSTED_PROXIES",
        "127.0.0.0/8,::1",
        "who may send X-Forwarded-For, and ask for a gateway",
    ),
    unset(
        "CLIENT_CERT_HEADER",
        "header in which they hand on the client's certificate, such as `X-Client-Cert`; in none when unset",
    ),
    unset("RBAC_POLICY_FILE", "role matrix, read again when it changes; built in when unset"),
    unset("REGISTRY_FILE", "registry snapshot, read again when it changes"),
    unset("ROUTES_FILE", "route table for gateways, read again when it changes"),
    unset(
        "POLICY_DIR",
        "directory of rules in Rego, read again when it changes; `policies` where there is one",
    ),
    plain("RBAC_ENFORCE", "true", "what the guard `rbac` starts with: `false` only observes"),
    plain(
        "RBAC_FAIL_OPEN",
        "false",
        "`true` lets pass what the guard `rbac` would refuse for want of a role; not in production",
    ),
    plain("SSH_SIGN_ENFORCE", "true", "the same for the guard `ssh-sign`"),
    plain("SERVICE_AUTH_ENFORCEMENT_MODE", "false", "the same for the guard `service-auth`"),
    plain(
        "SERVICE_AUTH_CIRCUIT_BREAKER_PERCENTAGE",
        "100",
        "for how many of a hundred callers `service-auth` starts to enforce",
    ),
    plain(
        "PDP_REQUIRE_AUTH",
        "true",
        "`false` answers questions of whoever reaches it, on this machine alone",
    ),
    plain(
        "DECISION_LOG_ALLOW_PERCENT",
        "100",
        "how many of a hundred questions that are allowed stand in the record; denials all do",
    ),
    unset("AUDIT_SEAL_SINK", "where each seal is kept, too: `file:PATH`, or an https address"),
    unset("AUDIT_RETENTION_DAYS", "how long the record keeps events; for ever when unset"),
    unset("VAULT_ADDR", "Vault or OpenBao, where new secrets of agents are then kept"),
    secret("VAULT_TOKEN", "the token that it is used with; both or none"),
    plain("VAULT_MOUNT", "secret", "where its KV engine of version 2 is mounted"),
    unset("VAULT_NAMESPACE", "its namespace"),
    unset("TLS_CERT_FILE", "certificates to serve HTTPS with, PEM; read again when they change"),
    unset("TLS_KEY_FILE", "their private key, PEM"),
    unset("TLS_CLIENT_CA_FILE", "authorities of client certificates, PEM; asks clients for one"),
    unset("METRICS_PORT", "a listener of its own for /metrics"),
    unset("EXT_AUTHZ_PORT", "a listener for Envoy's external authorization (gRPC, without TLS)"),
    plain("LOG_LEVEL", "info", "log filter; RUST_LOG is its other name"),
    unset("LOG_FORMAT", "`pretty` or `json`; by the terminal when unset"),
];
