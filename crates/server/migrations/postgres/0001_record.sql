-- One row a stream of events. A node appends to a stream of its own.
CREATE TABLE event_streams (
    stream BIGINT PRIMARY KEY,
    n BIGINT NOT NULL,
    leased_until BIGINT NOT NULL
);
INSERT INTO event_streams (stream, n, leased_until) VALUES (1, 0, 0);

-- position = stream * 2^40 + n. `body` is the event; the other columns are copies to search by.
CREATE TABLE audit_events (
    position BIGINT PRIMARY KEY,
    time BIGINT NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    agent_id TEXT COLLATE "C",
    action TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    body TEXT COLLATE "C" NOT NULL
);
CREATE INDEX audit_events_by_time ON audit_events (time, position);

-- The key ring: every versioned secret, sealed with the master key that the row names.
CREATE TABLE signing_keys (
    purpose TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    kid TEXT COLLATE "C",
    alg TEXT COLLATE "C",
    state TEXT COLLATE "C" NOT NULL,
    sealed BYTEA NOT NULL,
    master TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (purpose, version)
);
