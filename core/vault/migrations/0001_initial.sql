-- Identifiers are 16-byte blobs, times milliseconds since 1970 (0: none).

CREATE TABLE settings (
    key   TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE contacts (
    account_id  BLOB NOT NULL PRIMARY KEY,
    account_key BLOB NOT NULL,
    name        TEXT NOT NULL,
    first_seen  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX contacts_by_name ON contacts (name, first_seen);

-- Everything from last_activity on is kept by the package. Each message changes
-- it, and no index has a part of it: every page that a transaction touches is
-- encrypted, and there are few enough conversations to sort them.
CREATE TABLE conversations (
    id              BLOB NOT NULL PRIMARY KEY,
    kind            INTEGER NOT NULL,
    title           TEXT NOT NULL,
    peer_id         BLOB,
    state           INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    data            BLOB,
    last_activity   INTEGER NOT NULL,
    unread          INTEGER NOT NULL DEFAULT 0 CHECK (unread >= 0),
    unread_from     INTEGER NOT NULL DEFAULT 0, -- no unread message has a lower ord
    last_message_id BLOB,
    last_sender     BLOB,
    last_kind       INTEGER,
    last_state      INTEGER,
    last_text       TEXT
);
CREATE INDEX conversations_by_peer ON conversations (peer_id, kind, state) WHERE peer_id IS NOT NULL;

-- A table with row ids, and those stable: a full-text index can refer to them.
-- ord and id are the message's position.
CREATE TABLE messages (
    id           INTEGER PRIMARY KEY,
    conversation BLOB NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    message_id   BLOB NOT NULL,
    sender       BLOB NOT NULL,
    kind         INTEGER NOT NULL,
    body         TEXT NOT NULL,
    sent_at      INTEGER NOT NULL,
    received_at  INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    state        INTEGER NOT NULL,
    unread       INTEGER NOT NULL,
    error        TEXT NOT NULL,
    ord          INTEGER NOT NULL
);
CREATE UNIQUE INDEX messages_by_message_id ON messages (message_id, conversation);
CREATE INDEX messages_by_position ON messages (conversation, ord, id);

-- Almost always empty, so that it is read whole.
CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY,
    conversation BLOB NOT NULL,
    item_id      BLOB NOT NULL UNIQUE,
    kind         INTEGER NOT NULL,
    payload      BLOB NOT NULL,
    message_id   BLOB NOT NULL,
    attempts     INTEGER NOT NULL,
    created_at   INTEGER NOT NULL
);

CREATE TABLE mls_records (
    group_id BLOB NOT NULL,
    key      BLOB NOT NULL,
    value    BLOB NOT NULL,
    PRIMARY KEY (group_id, key)
) WITHOUT ROWID;

CREATE TABLE key_packages (
    ref         BLOB NOT NULL PRIMARY KEY,
    bundle      BLOB NOT NULL,
    expires_at  INTEGER NOT NULL,
    last_resort INTEGER NOT NULL
);
CREATE INDEX key_packages_by_expiry ON key_packages (expires_at);
CREATE INDEX key_packages_by_use ON key_packages (last_resort);
