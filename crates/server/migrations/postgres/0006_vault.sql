-- The version of its secret that is in force in Vault, where it is kept there in place of a digest
-- here. `vault_path` alone says that there may be something of it.
ALTER TABLE credentials ADD COLUMN vault_version BIGINT;

-- What was begun in Vault and is not known to have come to its end: a row a credential, which goes
-- with its end. `taken_at` is when somebody last set about it.
CREATE TABLE vault_intents (
    id TEXT COLLATE "C" PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    credential_id TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES credentials (id),
    agent_id TEXT COLLATE "C" NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    taken_at BIGINT NOT NULL
);
CREATE INDEX vault_intents_by_turn ON vault_intents (taken_at, id);
