-- +goose Up

-- What the devices of an account share, sealed by them.
CREATE TABLE account_vaults (
    account bytea PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    version bigint NOT NULL,
    sealed  bytea NOT NULL
);
ALTER TABLE account_vaults ALTER COLUMN sealed SET STORAGE EXTERNAL;

-- The account key, sealed under a recovery code, and the public key that
-- tells who has the code.
CREATE TABLE recovery_bundles (
    account  bytea PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    verifier bytea NOT NULL,
    sealed   bytea NOT NULL
);

-- How often codes were guessed on the latest day of guesses. subject is a keyed
-- hash of a name, be there such an account or not.
CREATE TABLE recovery_tries (
    subject bytea PRIMARY KEY,
    day     bigint NOT NULL,
    tries   bigint NOT NULL
);
CREATE INDEX recovery_tries_by_day ON recovery_tries (day);

-- All that is left of deleted accounts: keyed hashes of their names.
CREATE TABLE deleted_names (
    hash bytea PRIMARY KEY
);

-- +goose Down

DROP TABLE deleted_names;
DROP TABLE recovery_tries;
DROP TABLE recovery_bundles;
DROP TABLE account_vaults;
