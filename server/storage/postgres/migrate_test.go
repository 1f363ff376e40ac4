package postgres

import (
	"context"
	"errors"
	"maps"
	"os"
	"sync"
	"testing"
	"testing/fstest"

	"quicprochat/server/storage"
	"quicprochat/server/storage/postgres/postgrestest"
	"quicprochat/server/storage/storagetest"
)

// Data of the first schema, as pg_dump would give it, is there afterwards.
func TestMigrateFromFirstSchema(t *testing.T) {
	text, err := os.ReadFile("testdata/schema1.sql")
	must(t, err)
	u := emptyURL(t)
	must(t, postgrestest.Shared(t).Exec(t.Context(), postgrestest.DatabaseName(u), string(text)))
	if _, err := Check(t.Context(), storage.URL(u), nil); !errors.Is(err, storage.ErrSchemaOlder) {
		t.Errorf("check: got %v, want ErrSchemaOlder", err)
	}
	s := openAt(t, u, storage.DefaultLimits())
	storagetest.CheckFirstSchema(t, s)
	_, err = Check(t.Context(), storage.URL(u), nil)
	must(t, err)
}

// Servers that start at the same time wait for the one that migrates.
func TestMigrateTogether(t *testing.T) {
	u := emptyURL(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := Open(t.Context(), Options{URL: storage.URL(u), Limits: storage.DefaultLimits(), KeyHash: []byte("same")})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestOpenRefusesNewerSchema(t *testing.T) {
	u := newURL(t)
	name := postgrestest.DatabaseName(u)
	must(t, postgrestest.Shared(t).Exec(t.Context(), name, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`))
	before := dump(t, u)
	if _, err := Open(t.Context(), Options{URL: storage.URL(u), Limits: storage.DefaultLimits()}); !errors.Is(err, storage.ErrSchemaNewer) {
		t.Fatalf("got %v, want ErrSchemaNewer", err)
	}
	if _, err := Check(t.Context(), storage.URL(u), nil); !errors.Is(err, storage.ErrSchemaNewer) {
		t.Fatalf("check: got %v, want ErrSchemaNewer", err)
	}
	if !maps.Equal(before, dump(t, u)) {
		t.Error("the database was changed")
	}
}

// A migration that fails half way leaves the schema before it.
func TestInterruptedMigration(t *testing.T) {
	u := newURL(t)
	before := dump(t, u)
	cfg, err := parseURL(storage.URL(u))
	must(t, err)
	later := present(t)
	later["90002_half.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE half (n int);\nDROP TABLE invites;\nSELECT 1 / 0;\n")}
	if err := migrateTo(t.Context(), cfg.ConnConfig, later); err == nil {
		t.Fatal("the migration went through")
	}
	if !maps.Equal(before, dump(t, u)) {
		t.Error("the database was changed")
	}
	later["90002_half.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE half (n int);\n")}
	must(t, migrateTo(t.Context(), cfg.ConnConfig, later))
	if _, err := Open(t.Context(), Options{URL: storage.URL(u), Limits: storage.DefaultLimits()}); !errors.Is(err, storage.ErrSchemaNewer) {
		t.Errorf("the program before: got %v, want ErrSchemaNewer", err)
	}
}

// dump gives the columns of all tables and the versions that were applied.
func dump(t *testing.T, u string) map[string]string {
	t.Helper()
	cfg, err := parseURL(storage.URL(u))
	must(t, err)
	found := make(map[string]string)
	must(t, withConn(t.Context(), cfg.ConnConfig, func(ctx context.Context, conn querier) error {
		rows, err := conn.Query(ctx, `SELECT table_name || '.' || column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'
			UNION ALL SELECT 'version ' || version_id, is_applied::text FROM goose_db_version`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name, kind string
			if err := rows.Scan(&name, &kind); err != nil {
				return err
			}
			found[name] = kind
		}
		return rows.Err()
	}))
	if len(found) < 20 {
		t.Fatalf("only %d columns", len(found))
	}
	return found
}

func TestKeysOfOthers(t *testing.T) {
	u := emptyURL(t)
	if _, err := Check(t.Context(), storage.URL(u), []byte("ours")); !errors.Is(err, ErrEmpty) {
		t.Fatalf("check of an empty database: %v", err)
	}
	open := func(hash string) error {
		s, err := Open(t.Context(), Options{URL: storage.URL(u), Limits: storage.DefaultLimits(), KeyHash: []byte(hash)})
		if err == nil {
			err = s.Close()
		}
		return err
	}
	must(t, open("ours"))
	must(t, open("ours"))
	must(t, open("")) // such as a tool that knows none
	if err := open("theirs"); !errors.Is(err, ErrOtherKeys) {
		t.Errorf("open: got %v, want ErrOtherKeys", err)
	}
	if _, err := Check(t.Context(), storage.URL(u), []byte("theirs")); !errors.Is(err, ErrOtherKeys) {
		t.Errorf("check: got %v, want ErrOtherKeys", err)
	}
	if r, err := Check(t.Context(), storage.URL(u), []byte("ours")); err != nil || r.Version == "" || r.Clock.IsZero() || r.Plain {
		t.Errorf("check: %+v, %v", r, err)
	}
}

// present is the migrations that there are.
func present(t *testing.T) fstest.MapFS {
	t.Helper()
	entries, err := migrations.ReadDir("migrations")
	must(t, err)
	files := make(fstest.MapFS)
	for _, e := range entries {
		text, err := migrations.ReadFile("migrations/" + e.Name())
		must(t, err)
		files[e.Name()] = &fstest.MapFile{Data: text}
	}
	return files
}
