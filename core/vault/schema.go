package vault

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrations returns the schema's scripts. Script i brings a database of
// user_version i to i+1; scripts that have been released are never edited.
func migrations() ([]string, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	scripts := make([]string, len(names))
	for i, name := range names {
		b, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		scripts[i] = string(b)
	}
	return scripts, nil
}

func (c *conn) schemaVersion() (int, error) {
	var version int
	err := c.sql.QueryRowContext(context.Background(), `PRAGMA user_version`).Scan(&version)
	return version, storageError("read the schema version", err)
}

// migrate brings the database from the schema version to the newest, each
// script in a transaction of its own. ErrTooNew: it is ahead of scripts.
func (c *conn) migrate(ctx context.Context, version int, scripts []string) error {
	if version > len(scripts) {
		return fmt.Errorf("%w: schema %d, this one knows %d", ErrTooNew, version, len(scripts))
	}
	for ; version < len(scripts); version++ {
		err := c.transact(ctx, beginWrite, func(*Tx) error {
			_, err := c.sql.ExecContext(ctx, fmt.Sprintf("%s;\nPRAGMA user_version = %d", scripts[version], version+1))
			return storageError("run the script", err)
		})
		if err != nil {
			return fmt.Errorf("migrate to schema %d: %w", version+1, err)
		}
	}
	return nil
}
