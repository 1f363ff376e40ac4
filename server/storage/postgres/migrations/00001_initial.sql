-- Times are in seconds since 1970. Days are too, and multiples of 86400: where
-- a day is enough, nothing finer is kept. "number" columns are never reused.
-- Sealed values do not compress: EXTERNAL keeps PostgreSQL from trying.

-- +goose Up

-- One row: what belongs to all servers of this database.
CREATE TABLE server (
    single   boolean PRIMARY KEY DEFAULT true CHECK (single),
    key_hash bytea NOT NULL -- of the servers' keys, which must be the same
);

CREATE TABLE invites (
    hash      bytea PRIMARY KEY, -- SHA-256 of the token
    uses_left bigint NOT NULL,
    expires   bigint NOT NULL
);
CREATE INDEX invites_by_expiry ON invites (expires);

CREATE TABLE accounts (
    id          bytea PRIMARY KEY,
    name        text COLLATE "C" NOT NULL UNIQUE, -- "C": an update of the system cannot change the index's order
    record      bytea NOT NULL, -- OPAQUE registration record
    public_key  bytea NOT NULL,
    sealed_key  bytea NOT NULL,
    role        smallint NOT NULL,
    created_day bigint NOT NULL
);

CREATE TABLE devices (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- in the order of enrolment
    id           bytea NOT NULL UNIQUE,
    account      bytea NOT NULL REFERENCES accounts (id),
    certificate  bytea NOT NULL,
    enrolled_day bigint NOT NULL
);
CREATE INDEX devices_by_account ON devices (account, number);

CREATE TABLE revoked_devices (
    number  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id      bytea NOT NULL UNIQUE,
    account bytea NOT NULL REFERENCES accounts (id)
);
CREATE INDEX revoked_devices_by_account ON revoked_devices (account, number);

CREATE TABLE hybrid_keys (
    device bigint PRIMARY KEY REFERENCES devices (number) ON DELETE CASCADE,
    key    bytea NOT NULL
);
ALTER TABLE hybrid_keys ALTER COLUMN key SET STORAGE EXTERNAL;

-- A claimed KeyPackage keeps its row, without data, until it expires, so that
-- a repeated upload cannot bring it back.
CREATE TABLE key_packages (
    number  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device  bigint NOT NULL REFERENCES devices (number) ON DELETE CASCADE,
    ref     bytea NOT NULL,
    expires bigint NOT NULL,
    data    bytea,
    UNIQUE (device, ref)
);
ALTER TABLE key_packages ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX key_packages_to_claim ON key_packages (device, expires, number) WHERE data IS NOT NULL;
CREATE INDEX key_packages_by_expiry ON key_packages (expires);

CREATE TABLE last_resort_key_packages (
    device  bigint PRIMARY KEY REFERENCES devices (number) ON DELETE CASCADE,
    expires bigint NOT NULL,
    data    bytea NOT NULL
);
ALTER TABLE last_resort_key_packages ALTER COLUMN data SET STORAGE EXTERNAL;

-- A queue's row changes with every item, and no index with it: the free space
-- keeps its versions on one page.
CREATE TABLE queues (
    number     bigint PRIMARY KEY REFERENCES devices (number),
    id         bytea NOT NULL UNIQUE,
    last_seq   bigint NOT NULL DEFAULT 0,
    items      bigint NOT NULL DEFAULT 0,
    bytes      bigint NOT NULL DEFAULT 0,
    overflowed boolean NOT NULL DEFAULT false, -- the newest item is an overflow mark
    oldest_day bigint                          -- no item is older; NULL: there is none
) WITH (fillfactor = 50);
CREATE INDEX queues_by_oldest_day ON queues (oldest_day);

CREATE TABLE queue_items (
    queue  bigint NOT NULL, -- its number; the queue's row is locked by whoever changes its items
    seq    bigint NOT NULL,
    day    bigint NOT NULL,
    sealed bytea, -- NULL: an overflow mark
    PRIMARY KEY (queue, seq)
) WITH (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE queue_items ALTER COLUMN sealed SET STORAGE EXTERNAL;

CREATE TABLE channels (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         bytea NOT NULL UNIQUE,
    digest     bytea NOT NULL, -- of the request that created it
    epoch      bigint NOT NULL,
    open_from  bigint NOT NULL, -- the epoch that the last change of addresses began
    last_seq   bigint NOT NULL DEFAULT 0,
    active_day bigint NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX channels_by_active_day ON channels (active_day);

CREATE TABLE channel_keys (
    channel bigint NOT NULL REFERENCES channels (number) ON DELETE CASCADE,
    epoch   bigint NOT NULL,
    key     bytea NOT NULL,
    PRIMARY KEY (channel, epoch)
);

CREATE TABLE channel_winners (
    channel bigint NOT NULL REFERENCES channels (number) ON DELETE CASCADE,
    epoch   bigint NOT NULL,
    item    bytea NOT NULL,
    PRIMARY KEY (channel, epoch)
);

CREATE TABLE channel_addresses (
    channel bigint NOT NULL REFERENCES channels (number) ON DELETE CASCADE,
    address bytea NOT NULL,
    PRIMARY KEY (channel, address)
);

-- What was posted, to know it again. Rows outlive their channel and go by day.
CREATE TABLE channel_items (
    channel bigint NOT NULL,
    item    bytea NOT NULL,
    seq     bigint NOT NULL,
    day     bigint NOT NULL,
    PRIMARY KEY (channel, item)
);
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
DROP TABLE server;
