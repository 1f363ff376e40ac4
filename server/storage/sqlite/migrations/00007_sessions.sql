-- +goose Up

-- The newest connection of the device: 16 random bytes, NULL before the first.
ALTER TABLE devices ADD COLUMN session BLOB;

-- +goose Down

ALTER TABLE devices DROP COLUMN session;
