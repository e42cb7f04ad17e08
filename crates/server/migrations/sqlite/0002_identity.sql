CREATE TABLE tenants (
    id TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
INSERT INTO tenants (id, display_name, created_at) VALUES ('default', 'Default', 0);

CREATE TABLE agents (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    email TEXT NOT NULL,
    agent_type TEXT NOT NULL,
    version TEXT NOT NULL,
    capabilities TEXT NOT NULL,
    owner TEXT NOT NULL,
    deployment_env TEXT NOT NULL,
    status TEXT NOT NULL,
    scopes TEXT NOT NULL,
    allowed_resources TEXT NOT NULL,
    gen BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_seen_at BIGINT,
    UNIQUE (tenant, email)
);
CREATE INDEX agents_by_tenant ON agents (tenant, id);

CREATE TABLE credentials (
    id TEXT PRIMARY KEY,
    client_id TEXT NOT NULL REFERENCES agents (id),
    tenant TEXT NOT NULL,
    digest BLOB,
    digest_key BIGINT NOT NULL,
    previous_digest BLOB,
    previous_until BIGINT,
    vault_path TEXT,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT,
    last_used_from TEXT
);
CREATE INDEX credentials_by_client ON credentials (client_id, id);

CREATE TABLE operators (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    email TEXT,
    display_name TEXT NOT NULL,
    roles TEXT NOT NULL,
    max_approval_level BIGINT,
    created_at BIGINT NOT NULL
);

CREATE TABLE operator_tokens (
    id TEXT PRIMARY KEY,
    operator_id TEXT NOT NULL REFERENCES operators (id),
    digest BLOB NOT NULL,
    digest_key BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

-- Rows go when the token would have expired anyway.
CREATE TABLE token_revocations (
    jti TEXT PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX token_revocations_by_expiry ON token_revocations (expires_at);
