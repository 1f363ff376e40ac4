-- +goose Up

-- Nothing here says whose a blob is. The contents lie elsewhere.
CREATE TABLE blobs (
    name       bytea PRIMARY KEY,
    size       bigint NOT NULL,
    chunk_size bigint NOT NULL,
    state      smallint NOT NULL, -- 0: being uploaded, 1: finished, 2: gone
    due        bigint NOT NULL,   -- the day on which it is gone, or is to be cleared away
    hash       bytea              -- of the whole, of a finished one
);
CREATE INDEX blobs_by_due ON blobs (state, due);

CREATE TABLE blob_chunks (
    blob   bytea NOT NULL REFERENCES blobs (name) ON DELETE CASCADE,
    number bigint NOT NULL,
    digest bytea NOT NULL,
    stored boolean NOT NULL, -- its object was written
    PRIMARY KEY (blob, number)
);

-- How much was uploaded. quota is a keyed hash of the account and the day.
CREATE TABLE blob_quotas (
    quota bytea PRIMARY KEY,
    day   bigint NOT NULL,
    used  bigint NOT NULL
);
CREATE INDEX blob_quotas_by_day ON blob_quotas (day);

-- +goose Down

DROP TABLE blob_quotas;
DROP TABLE blob_chunks;
DROP TABLE blobs;
