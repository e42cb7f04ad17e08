-- Changes that every node must notice, numbered in the order in which they were committed: the row of
-- the clock is locked from when it is raised until the commit.
CREATE TABLE change_clock (id BIGINT PRIMARY KEY, n BIGINT NOT NULL);
INSERT INTO change_clock (id, n) VALUES (1, 0);
CREATE TABLE changes (
    n BIGINT PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL
);
