-- +goose Up

-- Which run of which server process has the newest connection of the device:
-- 16 random bytes, NULL before the first.
ALTER TABLE devices ADD COLUMN node BLOB;

-- +goose Down

ALTER TABLE devices DROP COLUMN node;
