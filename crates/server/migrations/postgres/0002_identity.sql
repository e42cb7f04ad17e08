CREATE TABLE tenants (
    id TEXT COLLATE "C" PRIMARY KEY,
    display_name TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);
INSERT INTO tenants (id, display_name, created_at) VALUES ('default', 'Default', 0);

CREATE TABLE agents (
    id TEXT COLLATE "C" PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    email TEXT COLLATE "C" NOT NULL,
    agent_type TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    capabilities TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    deployment_env TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    allowed_resources TEXT COLLATE "C" NOT NULL,
    gen BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_seen_at BIGINT,
    UNIQUE (tenant, email)
);
CREATE INDEX agents_by_tenant ON agents (tenant, id);

CREATE TABLE credentials (
    id TEXT COLLATE "C" PRIMARY KEY,
    client_id TEXT COLLATE "C" NOT NULL REFERENCES agents (id),
    tenant TEXT COLLATE "C" NOT NULL,
    digest BYTEA,
    digest_key BIGINT NOT NULL,
    previous_digest BYTEA,
    previous_until BIGINT,
    vault_path TEXT COLLATE "C",
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT,
    last_used_from TEXT COLLATE "C"
);
CREATE INDEX credentials_by_client ON credentials (client_id, id);

CREATE TABLE operators (
    id TEXT COLLATE "C" PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    email TEXT COLLATE "C",
    display_name TEXT COLLATE "C" NOT NULL,
    roles TEXT COLLATE "C" NOT NULL,
    max_approval_level BIGINT,
    created_at BIGINT NOT NULL
);

CREATE TABLE operator_tokens (
    id TEXT COLLATE "C" PRIMARY KEY,
    operator_id TEXT COLLATE "C" NOT NULL REFERENCES operators (id),
    digest BYTEA NOT NULL,
    digest_key BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

-- Rows go when the token would have expired anyway.
CREATE TABLE token_revocations (
    jti TEXT COLLATE "C" PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX token_revocations_by_expiry ON token_revocations (expires_at);
