package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"

	"quicprochat/server/storage"
)

// Check looks at the database at path and changes nothing: whether it opens,
// whether it is sound, whether its schema is this version's.
// storage.ErrSchemaNewer, storage.ErrSchemaOlder, or what is wrong with it.
func Check(ctx context.Context, path string) error {
	return check(ctx, path, func(db *sql.DB) error {
		var verdict string
		if err := db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict); err != nil {
			return fmt.Errorf("read database: %w", err)
		}
		if verdict != "ok" {
			return fmt.Errorf("database is damaged: %s", verdict)
		}
		return nil
	})
}

// CheckSchema is Check without a look at every page.
func CheckSchema(ctx context.Context, path string) error {
	return check(ctx, path, func(*sql.DB) error { return nil })
}

func check(ctx context.Context, path string, first func(*sql.DB) error) error {
	db, err := OpenReadOnly(path)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := first(db); err != nil {
		return err
	}
	var current int64
	if err := db.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version`).Scan(&current); err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	known, err := newestVersion(db)
	switch {
	case err != nil:
		return err
	case current > known:
		return fmt.Errorf("schema version %d, known up to %d: %w", current, known, storage.ErrSchemaNewer)
	case current < known:
		return fmt.Errorf("schema version %d of %d: %w", current, known, storage.ErrSchemaOlder)
	}
	return nil
}

// newestVersion is the schema version that this program brings databases to.
func newestVersion(db *sql.DB) (int64, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return 0, fmt.Errorf("read migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return 0, fmt.Errorf("read migrations: %w", err)
	}
	sources := provider.ListSources()
	return sources[len(sources)-1].Version, nil
}

// NewestDay is the latest day that the database at path has something from.
func NewestDay(ctx context.Context, path string) (time.Time, error) {
	db, err := OpenReadOnly(path)
	if err != nil {
		return time.Time{}, err
	}
	defer db.Close()
	var day int64
	err = db.QueryRowContext(ctx, `SELECT max(coalesce((SELECT max(active_day) FROM channels), 0),
		coalesce((SELECT enrolled_day FROM devices ORDER BY number DESC LIMIT 1), 0))`).Scan(&day)
	return time.Unix(day, 0).UTC(), err
}
