-- +goose Up

-- Where a device without a connection is woken. sealed opens with the server's
-- storage key alone.
CREATE TABLE push_registrations (
    device INTEGER PRIMARY KEY REFERENCES devices (number) ON DELETE CASCADE,
    sealed BLOB NOT NULL
) STRICT;

-- Where other servers say that they can be reached. network is a keyed hash.
CREATE TABLE endpoints (
    pin     BLOB PRIMARY KEY,
    record  BLOB NOT NULL,
    issued  INTEGER NOT NULL, -- in milliseconds
    expires INTEGER NOT NULL,
    network BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX endpoints_by_network ON endpoints (network);
CREATE INDEX endpoints_by_expiry ON endpoints (expires);

-- How many rows endpoints has.
CREATE TABLE endpoint_count (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    total INTEGER NOT NULL
) STRICT;
INSERT INTO endpoint_count (one, total) VALUES (1, 0);

-- +goose Down

DROP TABLE endpoint_count;
DROP TABLE endpoints;
DROP TABLE push_registrations;
