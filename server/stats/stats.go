// Package stats counts what a server keeps. It names nobody, and reads no
// queue's items: its cost grows with accounts, devices, channels and blobs.
package stats

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/stdlib"

	"quicprochat/server/config"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
	"quicprochat/server/storage/postgres"
	"quicprochat/server/storage/sqlite"
)

// days is how many days are told apart, today included.
const days = 14

// Stats is what a server keeps at one moment.
type Stats struct {
	Accounts int64 `json:"accounts"`
	Devices  int64 `json:"devices"`
	Channels int64 `json:"channels"`
	// Queues is how many have items waiting, Overflowed how many of them are
	// full and have lost some.
	Queues     int64 `json:"queues_waiting"`
	Overflowed int64 `json:"queues_overflowed"`
	Items      int64 `json:"items"`
	ItemBytes  int64 `json:"item_bytes"`
	// Blobs are finished, Uploads are not.
	Blobs         int64 `json:"blobs"`
	BlobBytes     int64 `json:"blob_bytes"`
	Uploads       int64 `json:"uploads"`
	Invites       int64 `json:"invites"`
	DatabaseBytes int64 `json:"database_bytes"`
	// Days are the latest, oldest first.
	Days []Day `json:"days"`
}

// Day is what is known of a day (UTC).
type Day struct {
	Day time.Time `json:"day"`
	// Accounts and Devices were created on it and are there still.
	Accounts int64 `json:"new_accounts"`
	Devices  int64 `json:"new_devices"`
	// Channels had their latest message on it.
	Channels int64 `json:"last_active_channels"`
}

// Collect counts what the server of cfg keeps, beside it where it runs.
// storage.ErrSchemaOlder, storage.ErrSchemaNewer, or that the database cannot
// be read.
func Collect(ctx context.Context, cfg config.Config, now time.Time) (s Stats, err error) {
	db, size, err := open(ctx, cfg)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s, fmt.Errorf("read database: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was changed
	if err := s.count(ctx, tx, size, now); err != nil {
		return s, fmt.Errorf("count: %w", err)
	}
	return s, nil
}

// open gives a connection, and the query for the database's size.
func open(ctx context.Context, cfg config.Config) (db *sql.DB, size string, err error) {
	if cfg.Store.URL == "" {
		path := filepath.Join(cfg.DataDir, secrets.DatabaseName)
		if err := sqlite.CheckSchema(ctx, path); err != nil {
			return nil, "", err
		}
		db, err := sqlite.OpenReadOnly(path)
		return db, `SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`, err
	}
	if _, err := postgres.Check(ctx, cfg.Store.URL, nil); err != nil {
		return nil, "", err
	}
	conn, err := postgres.Dial(ctx, cfg.Store.URL, "qpc-server stats")
	if err != nil {
		return nil, "", err
	}
	config := conn.Config()
	if err := conn.Close(ctx); err != nil {
		return nil, "", err
	}
	config.RuntimeParams["enable_seqscan"] = "on"
	return stdlib.OpenDB(*config), `SELECT pg_database_size(current_database())`, nil
}

func (s *Stats) count(ctx context.Context, tx *sql.Tx, size string, now time.Time) error {
	for _, q := range []struct {
		query string
		dest  []any
	}{
		{`SELECT count(*) FROM accounts`, []any{&s.Accounts}},
		{`SELECT count(*) FROM devices`, []any{&s.Devices}},
		{`SELECT count(*) FROM channels`, []any{&s.Channels}},
		{`SELECT count(*), CAST(coalesce(sum(items), 0) AS bigint), CAST(coalesce(sum(bytes), 0) AS bigint),
			CAST(coalesce(sum(CAST(overflowed AS integer)), 0) AS bigint) FROM queues WHERE items > 0`, []any{&s.Queues, &s.Items, &s.ItemBytes, &s.Overflowed}},
		{`SELECT count(*), CAST(coalesce(sum(size), 0) AS bigint) FROM blobs WHERE state = 1`, []any{&s.Blobs, &s.BlobBytes}},
		{`SELECT count(*) FROM blobs WHERE state = 0`, []any{&s.Uploads}},
		{fmt.Sprintf(`SELECT count(*) FROM invites WHERE uses_left > 0 AND expires > %d`, now.Unix()), []any{&s.Invites}},
		{size, []any{&s.DatabaseBytes}},
	} {
		if err := tx.QueryRowContext(ctx, q.query).Scan(q.dest...); err != nil {
			return err
		}
	}
	return s.countDays(ctx, tx, now)
}

func (s *Stats) countDays(ctx context.Context, tx *sql.Tx, now time.Time) error {
	today := int64(storage.DayOf(now))
	first := today - (days-1)*86400
	s.Days = make([]Day, days)
	for i := range s.Days {
		s.Days[i].Day = time.Unix(first+int64(i)*86400, 0).UTC()
	}
	for _, q := range []struct {
		column, table string
		count         func(*Day) *int64
	}{
		{"created_day", "accounts", func(d *Day) *int64 { return &d.Accounts }},
		{"enrolled_day", "devices", func(d *Day) *int64 { return &d.Devices }},
		{"active_day", "channels", func(d *Day) *int64 { return &d.Channels }},
	} {
		err := each(ctx, tx, fmt.Sprintf(`SELECT %[1]s, count(*) FROM %[2]s WHERE %[1]s BETWEEN %[3]d AND %[4]d GROUP BY %[1]s`, q.column, q.table, first, today),
			func(day, n int64) { *q.count(&s.Days[(day-first)/86400]) += n })
		if err != nil {
			return err
		}
	}
	return nil
}

func each(ctx context.Context, tx *sql.Tx, query string, visit func(day, n int64)) error {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var day, n int64
		if err := rows.Scan(&day, &n); err != nil {
			return err
		}
		visit(day, n)
	}
	return rows.Err()
}
