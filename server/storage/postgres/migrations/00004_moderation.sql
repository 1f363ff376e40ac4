-- +goose Up

ALTER TABLE invites ADD COLUMN role smallint NOT NULL DEFAULT 0;

-- Few accounts are anything but users.
CREATE INDEX accounts_by_role ON accounts (role) WHERE role <> 0;

-- The number of the newest ban. Servers look at it to see that there is one.
CREATE TABLE moderation (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    bans   bigint NOT NULL
);
INSERT INTO moderation VALUES (true, 0);

CREATE TABLE bans (
    account bytea PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    number  bigint NOT NULL UNIQUE,
    day     bigint NOT NULL,
    until   bigint NOT NULL, -- 0: until it is lifted
    reason  bytea NOT NULL     -- sealed
);
CREATE INDEX bans_by_end ON bans (until) WHERE until > 0;

CREATE TABLE reports (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         bytea NOT NULL UNIQUE, -- a keyed hash of who reported and what
    day        bigint NOT NULL,
    resolution smallint NOT NULL, -- 0: open
    sealed     bytea NOT NULL
);
ALTER TABLE reports ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX reports_open ON reports (number) WHERE resolution = 0;
CREATE INDEX reports_resolved ON reports (number) WHERE resolution <> 0;
CREATE INDEX reports_by_day ON reports (day);

-- How much was reported. quota is a keyed hash of the account and the day.
CREATE TABLE report_quotas (
    quota bytea PRIMARY KEY,
    day   bigint NOT NULL,
    used  bigint NOT NULL
);
CREATE INDEX report_quotas_by_day ON report_quotas (day);

-- +goose Down

DROP TABLE report_quotas;
DROP TABLE reports;
DROP TABLE bans;
DROP TABLE moderation;
DROP INDEX accounts_by_role;
ALTER TABLE invites DROP COLUMN role;
