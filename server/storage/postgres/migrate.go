package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"quicprochat/server/storage"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock names the advisory lock under which schemas change.
const migrationLock = 0x7170632d736368 // "qpc-sch"

// migrationTime bounds how long all migrations, and waiting for another
// server's, may take.
const migrationTime = time.Hour

// migrate checks the database and brings its schema up to date, each step in a
// transaction. One process does it at a time, the others wait.
func migrate(ctx context.Context, cfg *pgx.ConnConfig) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	return migrateTo(ctx, cfg, files)
}

func migrateTo(ctx context.Context, cfg *pgx.ConnConfig, files fs.FS) (err error) {
	ctx, cancel := context.WithTimeout(ctx, migrationTime)
	defer cancel()
	cfg = patient(cfg)
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return connectError(err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }() // and the lock goes with it
	if err := checkDatabase(ctx, conn); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(migrationLock)); err != nil {
		return fmt.Errorf("wait for another server's migration: %w", err)
	}
	if err := checkRights(ctx, conn); err != nil {
		return err
	}
	db := stdlib.OpenDB(*cfg)
	defer func() { err = errors.Join(err, db.Close()) }()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithDisableGlobalRegistry(true))
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

// patient is cfg for statements that may take long.
func patient(cfg *pgx.ConnConfig) *pgx.ConnConfig {
	cfg = cfg.Copy()
	cfg.RuntimeParams["statement_timeout"] = "0"
	cfg.Tracer = nil
	return cfg
}

// checkRights tells whether the user may make tables, where there are none.
func checkRights(ctx context.Context, conn *pgx.Conn) error {
	var can bool
	err := conn.QueryRow(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL OR coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)`).Scan(&can)
	if err != nil {
		return fmt.Errorf("ask for the user's rights: %w", err)
	}
	if !can {
		cfg := conn.Config()
		return &ConnectError{text: fmt.Sprintf("user %q may not make tables in database %q: make it the owner, with ALTER DATABASE %s OWNER TO %s", cfg.User, cfg.Database, cfg.Database, cfg.User)}
	}
	return nil
}
