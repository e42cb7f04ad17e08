-- Documents that were uploaded: the role matrix, the registry. The newest of a kind is in force unless
-- a file governs.
CREATE TABLE documents (
    kind TEXT NOT NULL,
    version BIGINT NOT NULL,
    -- Which text, and of how many parts.
    text BIGINT NOT NULL,
    parts BIGINT NOT NULL,
    hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (kind, version)
);

-- Their texts, in pieces that are written one by one: nobody waits long behind a large one.
CREATE TABLE document_parts (
    kind TEXT NOT NULL,
    text BIGINT NOT NULL,
    part BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, text, part)
);

-- The number that was given out last for each kind, to a text or to a document.
CREATE TABLE document_heads (kind TEXT PRIMARY KEY, n BIGINT NOT NULL);

INSERT INTO documents (kind, version, text, parts, hash, created_at, created_by)
SELECT 'matrix', version, version, 1, hash, created_at, created_by FROM rbac_matrices;
INSERT INTO document_parts (kind, text, part, body)
SELECT 'matrix', version, 0, body FROM rbac_matrices;
INSERT INTO document_heads (kind, n)
SELECT 'matrix', COALESCE(MAX(version), 0) FROM rbac_matrices;
INSERT INTO document_heads (kind, n) VALUES ('registry', 0);

DROP TABLE rbac_matrices;
