-- The version of its secret that is in force in Vault, where it is kept there in place of a digest
-- here. `vault_path` alone says that there may be something of it.
ALTER TABLE credentials ADD COLUMN vault_version BIGINT;

-- What was begun in Vault and is not known to have come to its end: a row a credential, which goes
-- with its end. `taken_at` is when somebody last set about it.
CREATE TABLE vault_intents (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    credential_id TEXT NOT NULL UNIQUE REFERENCES credentials (id),
    agent_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    taken_at BIGINT NOT NULL
);
CREATE INDEX vault_intents_by_turn ON vault_intents (taken_at, id);
