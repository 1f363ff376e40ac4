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

// migrate brings the database to the newest schema, each script in a
// transaction of its own. ErrTooNew: the database is ahead of scripts.
func (c *conn) migrate(ctx context.Context, scripts []string) error {
	var version int
	if err := c.sql.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return storageError("read the schema version", err)
	}
	if version > len(scripts) {
		return fmt.Errorf("%w: schema %d, this one knows %d", ErrTooNew, version, len(scripts))
	}
	for ; version < len(scripts); version++ {
		err := c.transact(ctx, beginWrite, func(*Tx) error {
			_, err := c.sql.ExecContext(ctx, fmt.Sprintf("%s;\nPRAGMA user_version = %d", scripts[version], version+1))
			return err
		})
		if err != nil {
			return storageError(fmt.Sprintf("migrate to schema %d", version+1), err)
		}
	}
	return nil
}
