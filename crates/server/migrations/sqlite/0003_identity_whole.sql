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
