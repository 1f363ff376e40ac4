package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
)

// ErrEmpty: the database has no tables yet. Open makes them.
var ErrEmpty = errors.New("database is empty")

// Report is what a check found.
type Report struct {
	// Version is PostgreSQL's, such as "15.4".
	Version string
	// Clock is the database's.
	Clock time.Time
	// Plain: the connection goes over a network and is not encrypted.
	Plain bool
}

// Check looks at a database and changes nothing: whether it can be reached and
// used, whether its schema is this version's, and, where keyHash is not empty,
// whether it belongs to these keys. A *ConnectError, ErrEmpty, ErrOtherKeys,
// storage.ErrSchemaNewer, storage.ErrSchemaOlder.
func Check(ctx context.Context, url storage.URL, keyHash []byte) (r Report, err error) {
	cfg, err := parseURL(url)
	if err != nil {
		return r, err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg.ConnConfig)
	if err != nil {
		return r, connectError(err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if err := checkDatabase(ctx, conn); err != nil {
		return r, err
	}
	err = conn.QueryRow(ctx, `SELECT current_setting('server_version'), clock_timestamp()`).Scan(&r.Version, &r.Clock)
	if err != nil {
		return r, fmt.Errorf("ask for the version: %w", err)
	}
	r.Version, _, _ = strings.Cut(r.Version, " ")
	r.Plain = cfg.ConnConfig.TLSConfig == nil && !local(cfg.ConnConfig.Host)
	return r, errors.Join(checkSchema(ctx, conn), checkOwner(ctx, conn, keyHash))
}

func local(host string) bool {
	return strings.HasPrefix(host, "/") || host == "localhost" || host == "127.0.0.1" || host == "::1"
}

func checkSchema(ctx context.Context, conn *pgx.Conn) error {
	var made bool
	if err := conn.QueryRow(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL`).Scan(&made); err != nil {
		return fmt.Errorf("look for the schema version: %w", err)
	}
	if !made {
		return ErrEmpty
	}
	var current int64
	if err := conn.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&current); err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	known, err := newestVersion()
	switch {
	case err != nil:
		return err
	case current == 0:
		return ErrEmpty
	case current > known:
		return fmt.Errorf("schema version %d, known up to %d: %w", current, known, storage.ErrSchemaNewer)
	case current < known:
		return fmt.Errorf("schema version %d of %d: %w", current, known, storage.ErrSchemaOlder)
	}
	return nil
}

// newestVersion is the schema version that this program brings databases to.
func newestVersion() (version int64, err error) {
	err = fs.WalkDir(migrations, "migrations", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		var n int64
		if _, err := fmt.Sscanf(d.Name(), "%d_", &n); err != nil {
			return fmt.Errorf("name of migration %s: %w", d.Name(), err)
		}
		version = max(version, n)
		return nil
	})
	return version, err
}

func checkOwner(ctx context.Context, conn *pgx.Conn, keyHash []byte) error {
	if len(keyHash) == 0 {
		return nil
	}
	var kept []byte
	err := conn.QueryRow(ctx, `SELECT key_hash FROM server WHERE single`).Scan(&kept)
	if err == nil && !bytes.Equal(kept, keyHash) {
		return ErrOtherKeys
	}
	return nil // no row, or no table: nobody has used it
}
