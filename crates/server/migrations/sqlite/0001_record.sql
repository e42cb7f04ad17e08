-- One row a stream of events. A node appends to a stream of its own.
CREATE TABLE event_streams (
    stream INTEGER PRIMARY KEY,
    n BIGINT NOT NULL,
    leased_until BIGINT NOT NULL
);
INSERT INTO event_streams (stream, n, leased_until) VALUES (1, 0, 0);

-- position = stream * 2^40 + n. `body` is the event; the other columns are copies to search by.
CREATE TABLE audit_events (
    position INTEGER PRIMARY KEY,
    time BIGINT NOT NULL,
    tenant TEXT NOT NULL,
    agent_id TEXT,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX audit_events_by_time ON audit_events (time);

-- The key ring: every versioned secret, sealed with the master key that the row names.
CREATE TABLE signing_keys (
    purpose TEXT NOT NULL,
    version BIGINT NOT NULL,
    kid TEXT,
    alg TEXT,
    state TEXT NOT NULL,
    sealed BLOB NOT NULL,
    master TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (purpose, version)
);
