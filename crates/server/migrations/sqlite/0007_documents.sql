-- Documents that were uploaded: the role matrix, the registry. The newest of a kind is in force unless
-- a file governs.
CREATE TABLE documents (
    kind TEXT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (kind, version)
);

-- The number of the newest of each kind. Its row is where two uploads meet.
CREATE TABLE document_heads (kind TEXT PRIMARY KEY, version BIGINT NOT NULL);

INSERT INTO documents (kind, version, body, hash, created_at, created_by)
SELECT 'matrix', version, body, hash, created_at, created_by FROM rbac_matrices;
INSERT INTO document_heads (kind, version)
SELECT 'matrix', COALESCE(MAX(version), 0) FROM rbac_matrices;
INSERT INTO document_heads (kind, version) VALUES ('registry', 0);

DROP TABLE rbac_matrices;
