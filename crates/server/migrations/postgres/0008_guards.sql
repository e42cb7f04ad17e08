-- Enforcement points: whether each only observes, or enforces, and for what share of the callers. The key
-- says on which side of the share a caller is; whoever knew it could look for the other side.
CREATE TABLE guards (
    name TEXT COLLATE "C" PRIMARY KEY,
    mode TEXT COLLATE "C" NOT NULL,
    percent BIGINT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    side_key BYTEA NOT NULL,
    -- What its variable said at the last start; null where it has none.
    boot TEXT COLLATE "C",
    revision BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT COLLATE "C" NOT NULL
);

-- What passed a guard, by the minute: a row without a caller for all that was allowed, and one for each
-- caller, route and reason of what was or would have been denied.
CREATE TABLE guard_traffic (
    guard TEXT COLLATE "C" NOT NULL,
    minute BIGINT NOT NULL,
    caller TEXT COLLATE "C" NOT NULL,
    route TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    permission TEXT COLLATE "C" NOT NULL,
    -- What denied it.
    package TEXT COLLATE "C" NOT NULL,
    allowed BIGINT NOT NULL,
    would_deny BIGINT NOT NULL,
    denied BIGINT NOT NULL,
    -- The caller held the permission and its token did not.
    held BIGINT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    PRIMARY KEY (guard, minute, caller, route, reason)
);

-- Addresses from which callers have proved who they are.
CREATE TABLE guard_sources (
    guard TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    last_seen BIGINT NOT NULL,
    PRIMARY KEY (guard, address)
);

-- Denials that somebody expects.
CREATE TABLE guard_accepted (
    guard TEXT COLLATE "C" NOT NULL,
    caller TEXT COLLATE "C" NOT NULL,
    route TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    note TEXT COLLATE "C" NOT NULL,
    accepted_at BIGINT NOT NULL,
    accepted_by TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (guard, caller, route, reason)
);

INSERT INTO document_heads (kind, n) VALUES ('routes', 0);
