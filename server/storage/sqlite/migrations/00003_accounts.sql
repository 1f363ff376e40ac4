-- +goose Up

-- What the devices of an account share, sealed by them.
CREATE TABLE account_vaults (
    account BLOB PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    sealed  BLOB NOT NULL
) STRICT;

-- The account key, sealed under a recovery code, and the public key that
-- tells who has the code.
CREATE TABLE recovery_bundles (
    account  BLOB PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    verifier BLOB NOT NULL,
    sealed   BLOB NOT NULL
) STRICT;

-- How often codes were guessed on the latest day of guesses. subject is a keyed
-- hash of a name, be there such an account or not.
CREATE TABLE recovery_tries (
    subject BLOB PRIMARY KEY,
    day     INTEGER NOT NULL,
    tries   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX recovery_tries_by_day ON recovery_tries (day);

-- All that is left of deleted accounts: keyed hashes of their names.
CREATE TABLE deleted_names (
    hash BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- +goose Down

DROP TABLE deleted_names;
DROP TABLE recovery_tries;
DROP TABLE recovery_bundles;
DROP TABLE account_vaults;
