-- +goose Up

ALTER TABLE invites ADD COLUMN role INTEGER NOT NULL DEFAULT 0;

-- Few accounts are anything but users.
CREATE INDEX accounts_by_role ON accounts (role) WHERE role <> 0;

-- The number of the newest ban. Servers look at it to see that there is one.
CREATE TABLE moderation (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    bans INTEGER NOT NULL
) STRICT;
INSERT INTO moderation VALUES (1, 0);

CREATE TABLE bans (
    account BLOB PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    number  INTEGER NOT NULL UNIQUE,
    day     INTEGER NOT NULL,
    until   INTEGER NOT NULL, -- 0: until it is lifted
    reason  BLOB NOT NULL     -- sealed
) STRICT, WITHOUT ROWID;
CREATE INDEX bans_by_end ON bans (until) WHERE until > 0;

CREATE TABLE reports (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    id         BLOB NOT NULL UNIQUE, -- a keyed hash of who reported and what
    day        INTEGER NOT NULL,
    resolution INTEGER NOT NULL, -- 0: open
    sealed     BLOB NOT NULL
) STRICT;
CREATE INDEX reports_open ON reports (number) WHERE resolution = 0;
CREATE INDEX reports_resolved ON reports (number) WHERE resolution <> 0;
CREATE INDEX reports_by_day ON reports (day);

-- How much was reported. quota is a keyed hash of the account and the day.
CREATE TABLE report_quotas (
    quota BLOB PRIMARY KEY,
    day   INTEGER NOT NULL,
    used  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX report_quotas_by_day ON report_quotas (day);

-- +goose Down

DROP TABLE report_quotas;
DROP TABLE reports;
DROP TABLE bans;
DROP TABLE moderation;
DROP INDEX accounts_by_role;
ALTER TABLE invites DROP COLUMN role;
