-- +goose Up

-- Tokens that were spent: a hash of the token's nonce, and one of the nonce with
-- what it was spent for. Nothing here is in any other table.
CREATE TABLE spent_tokens (
    token BLOB PRIMARY KEY,
    use   BLOB NOT NULL,
    due   INTEGER NOT NULL -- the day from which on the token's key is not accepted
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_tokens_by_due ON spent_tokens (due);

-- How many tokens were issued. quota is a keyed hash of the account and the day,
-- batch a keyed hash of what was issued last.
CREATE TABLE token_quotas (
    quota BLOB PRIMARY KEY,
    day   INTEGER NOT NULL,
    used  INTEGER NOT NULL,
    batch BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX token_quotas_by_day ON token_quotas (day);

-- +goose Down

DROP TABLE token_quotas;
DROP TABLE spent_tokens;
