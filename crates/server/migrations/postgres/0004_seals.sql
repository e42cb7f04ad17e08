-- A run of events under one signed Merkle root. `leaves` holds the run's leaf hashes, 32 bytes each.
CREATE TABLE seals (
    seal BIGINT PRIMARY KEY,
    count BIGINT NOT NULL,
    root TEXT COLLATE "C" NOT NULL,
    previous TEXT COLLATE "C" NOT NULL,
    time BIGINT NOT NULL,
    kid TEXT COLLATE "C" NOT NULL,
    signature TEXT COLLATE "C" NOT NULL,
    -- Of the earliest and the latest event of the run.
    begins BIGINT NOT NULL,
    ends BIGINT NOT NULL,
    leaves BYTEA NOT NULL
);

-- Where the leaves of a seal come from: events `first` to `last` of a stream, the first of which has
-- the index `at` in the seal.
CREATE TABLE seal_spans (
    stream BIGINT NOT NULL,
    first BIGINT NOT NULL,
    last BIGINT NOT NULL,
    seal BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (stream, first)
);
CREATE INDEX seal_spans_by_seal ON seal_spans (seal, at);

-- How far each stream is sealed. Not in event_streams, whose rows are busy.
CREATE TABLE sealed_streams (stream BIGINT PRIMARY KEY, n BIGINT NOT NULL);

-- The newest seal, who seals, and until when, and up to which seal the sink has been told.
CREATE TABLE seal_head (
    id BIGINT PRIMARY KEY,
    seal BIGINT NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    holder BIGINT,
    leased_until BIGINT NOT NULL,
    told BIGINT NOT NULL
);
INSERT INTO seal_head (id, seal, digest, leased_until, told)
VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000', 0, 0);

-- Which events are about an agent, carry a decision or belong to a request: sorted entries of 16 bytes,
-- 8 of a hash and the position. A run is named by the last seal that it has entries of.
CREATE TABLE event_runs (
    run BIGINT PRIMARY KEY,
    level BIGINT NOT NULL,
    begins BIGINT NOT NULL,
    ends BIGINT NOT NULL,
    entries BIGINT NOT NULL
);
CREATE INDEX event_runs_by_time ON event_runs (ends, run);
CREATE INDEX event_runs_by_level ON event_runs (level, run);
CREATE TABLE event_keys (
    run BIGINT NOT NULL,
    first BIGINT NOT NULL,
    page BIGINT NOT NULL,
    entries BYTEA NOT NULL,
    PRIMARY KEY (run, first, page)
);
ALTER TABLE event_keys ALTER COLUMN entries SET STORAGE PLAIN;

-- Up to when the events of a tenant have expired.
CREATE TABLE audit_expired (tenant TEXT COLLATE "C" PRIMARY KEY, until BIGINT NOT NULL);

-- The published half of a key that is never unpublished.
ALTER TABLE signing_keys ADD COLUMN public TEXT COLLATE "C";

-- Hashes don't compress.
ALTER TABLE seals ALTER COLUMN leaves SET STORAGE EXTERNAL;
