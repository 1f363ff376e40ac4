-- +goose Up

-- Where a device without a connection is woken. sealed opens with the server's
-- storage key alone.
CREATE TABLE push_registrations (
    device bigint PRIMARY KEY REFERENCES devices (number) ON DELETE CASCADE,
    sealed bytea NOT NULL
);

-- Where other servers say that they can be reached. network is a keyed hash.
CREATE TABLE endpoints (
    pin     bytea PRIMARY KEY,
    record  bytea NOT NULL,
    issued  bigint NOT NULL, -- in milliseconds
    expires bigint NOT NULL,
    network bytea NOT NULL
);
CREATE INDEX endpoints_by_network ON endpoints (network);
CREATE INDEX endpoints_by_expiry ON endpoints (expires);

-- How many rows endpoints has.
CREATE TABLE endpoint_count (
    one   smallint PRIMARY KEY CHECK (one = 1),
    total bigint NOT NULL
);
INSERT INTO endpoint_count (one, total) VALUES (1, 0);

-- +goose Down

DROP TABLE endpoint_count;
DROP TABLE endpoints;
DROP TABLE push_registrations;
