-- What proves who wrote a message. It stands apart: it is read for a report
-- only, and pages of messages shall stay small.
CREATE TABLE evidence (
    message     INTEGER PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    proof       BLOB NOT NULL,
    certificate BLOB NOT NULL REFERENCES certificates (hash)
);

-- Most messages come from a few devices.
CREATE TABLE certificates (
    hash        BLOB NOT NULL PRIMARY KEY,
    certificate BLOB NOT NULL
) WITHOUT ROWID;
