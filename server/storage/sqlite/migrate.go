package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"

	"quicprochat/server/storage"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationTries bounds how often a process whose migration collided with
// another's looks again. Each collision means that the other got further.
const migrationTries = 10

// migrate brings the schema up to date, each step in a transaction. Several
// processes may do so at once.
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	return again(ctx, func() error { return migrateTo(ctx, db, files) })
}

// again tries what collides with other processes that open a new file: while
// it becomes one with a WAL, SQLite does not wait for its lock.
func again(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if err == nil || errors.Is(err, storage.ErrSchemaNewer) || try == migrationTries {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func migrateTo(ctx context.Context, db *sql.DB, files fs.FS) error {
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if current > target {
		return fmt.Errorf("schema version %d, known up to %d: %w", current, target, storage.ErrSchemaNewer)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate schema: %w", err)
	}
	return nil
}
