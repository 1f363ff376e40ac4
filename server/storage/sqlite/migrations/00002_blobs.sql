-- +goose Up

-- Nothing here says whose a blob is. The contents lie elsewhere.
CREATE TABLE blobs (
    name       BLOB PRIMARY KEY,
    size       INTEGER NOT NULL,
    chunk_size INTEGER NOT NULL,
    state      INTEGER NOT NULL, -- 0: being uploaded, 1: finished, 2: gone
    due        INTEGER NOT NULL, -- the day on which it is gone, or is to be cleared away
    hash       BLOB              -- of the whole, of a finished one
) STRICT, WITHOUT ROWID;
CREATE INDEX blobs_by_due ON blobs (state, due);

CREATE TABLE blob_chunks (
    blob   BLOB NOT NULL REFERENCES blobs (name) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    digest BLOB NOT NULL,
    stored INTEGER NOT NULL, -- 1: its object was written
    PRIMARY KEY (blob, number)
) STRICT, WITHOUT ROWID;

-- How much was uploaded. quota is a keyed hash of the account and the day.
CREATE TABLE blob_quotas (
    quota BLOB PRIMARY KEY,
    day   INTEGER NOT NULL,
    used  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_quotas_by_day ON blob_quotas (day);

-- +goose Down

DROP TABLE blob_quotas;
DROP TABLE blob_chunks;
DROP TABLE blobs;
