ALTER TABLE tenants ADD COLUMN plan TEXT COLLATE "C" NOT NULL DEFAULT 'unlimited';
ALTER TABLE tenants ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;

ALTER TABLE operators ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE operators ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;
ALTER TABLE operators ADD COLUMN deleted_at BIGINT;
CREATE UNIQUE INDEX operators_by_email ON operators (tenant, email) WHERE deleted_at IS NULL;
CREATE INDEX operators_by_tenant ON operators (tenant, id);

ALTER TABLE operator_tokens ADD COLUMN name TEXT COLLATE "C";
ALTER TABLE operator_tokens ADD COLUMN expires_at BIGINT;
ALTER TABLE operator_tokens ADD COLUMN last_used_at BIGINT;
CREATE INDEX operator_tokens_by_operator ON operator_tokens (operator_id, id);

-- SHA-256 of a client certificate (RFC 8705 section 3.1), in place of a secret.
ALTER TABLE credentials ADD COLUMN certificate BYTEA;
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
    tenant TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    part BIGINT NOT NULL,
    agent_type TEXT COLLATE "C" NOT NULL,
    deployment_env TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (tenant, owner, part, agent_type, deployment_env, status)
);
INSERT INTO agent_counts
SELECT tenant, owner, 0, agent_type, deployment_env, status, COUNT(*) FROM agents GROUP BY 1, 2, 4, 5, 6;
INSERT INTO agent_counts
SELECT tenant, '', 0, agent_type, deployment_env, status, COUNT(*) FROM agents GROUP BY 1, 4, 5, 6;

-- In key order, so that two changes never wait for one another in a circle.
CREATE FUNCTION count_agents() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    at BIGINT := get_byte(decode(right(NEW.id, 2), 'hex'), 0) & 15;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO agent_counts
        VALUES (NEW.tenant, '', at, NEW.agent_type, NEW.deployment_env, NEW.status, 1),
               (NEW.tenant, NEW.owner, at, NEW.agent_type, NEW.deployment_env, NEW.status, 1)
            ON CONFLICT (tenant, owner, part, agent_type, deployment_env, status)
            DO UPDATE SET n = agent_counts.n + 1;
        RETURN NULL;
    END IF;
    INSERT INTO agent_counts
    SELECT * FROM (VALUES
            (OLD.tenant, '', at, OLD.agent_type, OLD.deployment_env, OLD.status, -1),
            (OLD.tenant, OLD.owner, at, OLD.agent_type, OLD.deployment_env, OLD.status, -1),
            (NEW.tenant, '', at, NEW.agent_type, NEW.deployment_env, NEW.status, 1),
            (NEW.tenant, NEW.owner, at, NEW.agent_type, NEW.deployment_env, NEW.status, 1)
        ) AS change (tenant, owner, part, agent_type, deployment_env, status, n)
     WHERE (OLD.owner, OLD.agent_type, OLD.deployment_env, OLD.status)
           IS DISTINCT FROM (NEW.owner, NEW.agent_type, NEW.deployment_env, NEW.status)
       AND (owner <> '' OR (OLD.agent_type, OLD.deployment_env, OLD.status)
           IS DISTINCT FROM (NEW.agent_type, NEW.deployment_env, NEW.status))
     ORDER BY tenant, owner, agent_type, deployment_env, status
        ON CONFLICT (tenant, owner, part, agent_type, deployment_env, status)
        DO UPDATE SET n = agent_counts.n + EXCLUDED.n;
    RETURN NULL;
END $$;
CREATE TRIGGER agents_counted AFTER INSERT ON agents
    FOR EACH ROW EXECUTE FUNCTION count_agents();
CREATE TRIGGER agents_recounted AFTER UPDATE OF owner, agent_type, deployment_env, status ON agents
    FOR EACH ROW EXECUTE FUNCTION count_agents();

ALTER TABLE signing_keys ADD COLUMN origin TEXT COLLATE "C" NOT NULL DEFAULT 'generated';
ALTER TABLE signing_keys ADD COLUMN activated_at BIGINT;
ALTER TABLE signing_keys ADD COLUMN retires_at BIGINT;
ALTER TABLE signing_keys ADD COLUMN revoked_at BIGINT;
ALTER TABLE signing_keys ADD COLUMN last_used_at BIGINT;
-- When the last token that it signed expires.
ALTER TABLE signing_keys ADD COLUMN signed_until BIGINT;
UPDATE signing_keys SET activated_at = created_at WHERE state = 'active';

-- Tokens issued to a client in a calendar month (UTC), such as 202601.
CREATE TABLE token_monthly_counts (
    client_id TEXT COLLATE "C" NOT NULL REFERENCES agents (id),
    month BIGINT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (client_id, month)
);

-- Matrices that were uploaded; the newest is in force unless a file governs.
CREATE TABLE rbac_matrices (
    version BIGINT PRIMARY KEY,
    body TEXT COLLATE "C" NOT NULL,
    hash TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL
);
