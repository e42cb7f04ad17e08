ALTER TABLE tenants ADD COLUMN plan TEXT NOT NULL DEFAULT 'unlimited';
ALTER TABLE tenants ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;

ALTER TABLE operators ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE operators ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;
ALTER TABLE operators ADD COLUMN deleted_at BIGINT;
CREATE UNIQUE INDEX operators_by_email ON operators (tenant, email) WHERE deleted_at IS NULL;
CREATE INDEX operators_by_tenant ON operators (tenant, id);

ALTER TABLE operator_tokens ADD COLUMN name TEXT;
ALTER TABLE operator_tokens ADD COLUMN expires_at BIGINT;
ALTER TABLE operator_tokens ADD COLUMN last_used_at BIGINT;
CREATE INDEX operator_tokens_by_operator ON operator_tokens (operator_id, id);

-- SHA-256 of a client certificate (RFC 8705 section 3.1), in place of a secret.
ALTER TABLE credentials ADD COLUMN certificate BLOB;
CREATE UNIQUE INDEX credentials_by_certificate ON credentials (certificate)
    WHERE certificate IS NOT NULL AND revoked_at IS NULL;

-- When the last token that it was given expires.
ALTER TABLE agents ADD COLUMN token_until BIGINT;
CREATE INDEX agents_by_owner ON agents (tenant, owner, id);
CREATE INDEX agents_by_status ON agents (tenant, status, id);
CREATE INDEX agents_by_type ON agents (tenant, agent_type, id);
CREATE INDEX agents_by_env ON agents (tenant, deployment_env, id);

-- How many agents there are of each kind: a listing says how many match, and must not count a fleet
-- for it. Rows of all owners together have the owner ''. In parts, so that agents which are
-- registered at once do not wait for one row; SQLite has one writer and one part.
CREATE TABLE agent_counts (
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    part BIGINT NOT NULL,
    agent_type TEXT NOT NULL,
    deployment_env TEXT NOT NULL,
    status TEXT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (tenant, owner, part, agent_type, deployment_env, status)
);
INSERT INTO agent_counts
SELECT tenant, owner, 0, agent_type, deployment_env, status, COUNT(*) FROM agents GROUP BY 1, 2, 4, 5, 6;
INSERT INTO agent_counts
SELECT tenant, '', 0, agent_type, deployment_env, status, COUNT(*) FROM agents GROUP BY 1, 4, 5, 6;

CREATE TRIGGER agents_counted AFTER INSERT ON agents BEGIN
    INSERT INTO agent_counts
    VALUES (NEW.tenant, NEW.owner, 0, NEW.agent_type, NEW.deployment_env, NEW.status, 1),
           (NEW.tenant, '', 0, NEW.agent_type, NEW.deployment_env, NEW.status, 1)
        ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER agents_recounted AFTER UPDATE OF owner, agent_type, deployment_env, status ON agents
WHEN OLD.owner <> NEW.owner OR OLD.agent_type <> NEW.agent_type
    OR OLD.deployment_env <> NEW.deployment_env OR OLD.status <> NEW.status
BEGIN
    UPDATE agent_counts SET n = n - 1
     WHERE tenant = OLD.tenant AND owner IN (OLD.owner, '') AND part = 0
       AND agent_type = OLD.agent_type AND deployment_env = OLD.deployment_env
       AND status = OLD.status;
    INSERT INTO agent_counts
    VALUES (NEW.tenant, NEW.owner, 0, NEW.agent_type, NEW.deployment_env, NEW.status, 1),
           (NEW.tenant, '', 0, NEW.agent_type, NEW.deployment_env, NEW.status, 1)
        ON CONFLICT DO UPDATE SET n = n + 1;
END;

ALTER TABLE signing_keys ADD COLUMN origin TEXT NOT NULL DEFAULT 'generated';
ALTER TABLE signing_keys ADD COLUMN activated_at BIGINT;
ALTER TABLE signing_keys ADD COLUMN retires_at BIGINT;
ALTER TABLE signing_keys ADD COLUMN revoked_at BIGINT;
ALTER TABLE signing_keys ADD COLUMN last_used_at BIGINT;
-- When the last token that it signed expires.
ALTER TABLE signing_keys ADD COLUMN signed_until BIGINT;
UPDATE signing_keys SET activated_at = created_at WHERE state = 'active';

-- Tokens issued to a client in a calendar month (UTC), such as 202601.
CREATE TABLE token_monthly_counts (
    client_id TEXT NOT NULL REFERENCES agents (id),
    month BIGINT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (client_id, month)
);

-- Matrices that were uploaded; the newest is in force unless a file governs.
CREATE TABLE rbac_matrices (
    version BIGINT PRIMARY KEY,
    body TEXT NOT NULL,
    hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL
);
