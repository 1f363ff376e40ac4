-- Times are in seconds since 1970. Days are too, and multiples of 86400: where
-- a day is enough, nothing finer is kept. "number" columns are never reused.

-- +goose Up

CREATE TABLE invites (
    hash      BLOB PRIMARY KEY, -- SHA-256 of the token
    uses_left INTEGER NOT NULL,
    expires   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX invites_by_expiry ON invites (expires);

CREATE TABLE accounts (
    id          BLOB PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    record      BLOB NOT NULL, -- OPAQUE registration record
    public_key  BLOB NOT NULL,
    sealed_key  BLOB NOT NULL,
    role        INTEGER NOT NULL,
    created_day INTEGER NOT NULL
) STRICT;

CREATE TABLE devices (
    number       INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order of enrolment
    id           BLOB NOT NULL UNIQUE,
    account      BLOB NOT NULL REFERENCES accounts (id),
    certificate  BLOB NOT NULL,
    enrolled_day INTEGER NOT NULL
) STRICT;
CREATE INDEX devices_by_account ON devices (account, number);

CREATE TABLE revoked_devices (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    id      BLOB NOT NULL UNIQUE,
    account BLOB NOT NULL REFERENCES accounts (id)
) STRICT;
CREATE INDEX revoked_devices_by_account ON revoked_devices (account, number);

CREATE TABLE hybrid_keys (
    device INTEGER PRIMARY KEY REFERENCES devices (number) ON DELETE CASCADE,
    key    BLOB NOT NULL
) STRICT;

-- A claimed KeyPackage keeps its row, without data, until it expires, so that
-- a repeated upload cannot bring it back.
CREATE TABLE key_packages (
    number  INTEGER PRIMARY KEY,
    device  INTEGER NOT NULL REFERENCES devices (number) ON DELETE CASCADE,
    ref     BLOB NOT NULL,
    expires INTEGER NOT NULL,
    data    BLOB,
    UNIQUE (device, ref)
) STRICT;
CREATE INDEX key_packages_to_claim ON key_packages (device, expires) WHERE data IS NOT NULL;
CREATE INDEX key_packages_by_expiry ON key_packages (expires);

CREATE TABLE last_resort_key_packages (
    device  INTEGER PRIMARY KEY REFERENCES devices (number) ON DELETE CASCADE,
    expires INTEGER NOT NULL,
    data    BLOB NOT NULL
) STRICT;

CREATE TABLE queues (
    number     INTEGER PRIMARY KEY REFERENCES devices (number),
    id         BLOB NOT NULL UNIQUE,
    last_seq   INTEGER NOT NULL DEFAULT 0,
    items      INTEGER NOT NULL DEFAULT 0,
    bytes      INTEGER NOT NULL DEFAULT 0,
    overflowed INTEGER NOT NULL DEFAULT 0, -- the newest item is an overflow mark
    oldest_day INTEGER                     -- no item is older; NULL: there is none
) STRICT;
CREATE INDEX queues_by_oldest_day ON queues (oldest_day);

-- position is the number of the queue << 32 | seq. That keeps a queue's items
-- together in one tree without a second index, and does not keep the order of
-- arrival across queues, which would tell which of them share a channel.
CREATE TABLE queue_items (
    position INTEGER PRIMARY KEY,
    day      INTEGER NOT NULL,
    sealed   BLOB -- NULL: an overflow mark
) STRICT;

CREATE TABLE channels (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    id         BLOB NOT NULL UNIQUE,
    digest     BLOB NOT NULL, -- of the request that created it
    epoch      INTEGER NOT NULL,
    open_from  INTEGER NOT NULL, -- the epoch that the last change of addresses began
    last_seq   INTEGER NOT NULL DEFAULT 0,
    addresses  INTEGER NOT NULL,
    active_day INTEGER NOT NULL
) STRICT;
CREATE INDEX channels_by_active_day ON channels (active_day);

CREATE TABLE channel_keys (
    channel INTEGER NOT NULL REFERENCES channels (number) ON DELETE CASCADE,
    epoch   INTEGER NOT NULL,
    key     BLOB NOT NULL,
    PRIMARY KEY (channel, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE channel_winners (
    channel INTEGER NOT NULL REFERENCES channels (number) ON DELETE CASCADE,
    epoch   INTEGER NOT NULL,
    item    BLOB NOT NULL,
    PRIMARY KEY (channel, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE channel_addresses (
    channel INTEGER NOT NULL REFERENCES channels (number) ON DELETE CASCADE,
    address BLOB NOT NULL,
    PRIMARY KEY (channel, address)
) STRICT, WITHOUT ROWID;

-- What was posted, to know it again. Rows outlive their channel and go by day.
CREATE TABLE channel_items (
    channel INTEGER NOT NULL,
    item    BLOB NOT NULL,
    seq     INTEGER NOT NULL,
    day     INTEGER NOT NULL,
    PRIMARY KEY (channel, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX channel_items_by_day ON channel_items (day);

-- +goose Down

DROP TABLE channel_items;
DROP TABLE channel_addresses;
DROP TABLE channel_winners;
DROP TABLE channel_keys;
DROP TABLE channels;
DROP TABLE queue_items;
DROP TABLE queues;
DROP TABLE last_resort_key_packages;
DROP TABLE key_packages;
DROP TABLE hybrid_keys;
DROP TABLE revoked_devices;
DROP TABLE devices;
DROP TABLE accounts;
DROP TABLE invites;
