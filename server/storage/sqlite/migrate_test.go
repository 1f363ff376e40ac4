package sqlite

import (
	"database/sql"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/fstest"

	"quicprochat/server/storage"
	"quicprochat/server/storage/storagetest"
)

// openRaw opens a file without a store around it.
func openRaw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", dataSource(path))
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

// Data of the first schema is there afterwards.
func TestMigrateFromFirstSchema(t *testing.T) {
	text, err := os.ReadFile("testdata/schema1.sql")
	must(t, err)
	path := newPath(t)
	db := openRaw(t, path)
	_, err = db.Exec(string(text))
	must(t, err)
	if err := Check(t.Context(), path); !errors.Is(err, storage.ErrSchemaOlder) {
		t.Errorf("check: got %v, want ErrSchemaOlder", err)
	}
	storagetest.CheckFirstSchema(t, openAt(t, path, storage.DefaultLimits()))
	must(t, Check(t.Context(), path))
}

// A server and commands may be the first to open a file at the same time.
func TestMigrateTogether(t *testing.T) {
	path := newPath(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := Open(t.Context(), path, storage.DefaultLimits())
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

// A migration that fails half way leaves the schema before it.
func TestInterruptedMigration(t *testing.T) {
	path := newPath(t)
	must(t, openAt(t, path, storage.DefaultLimits()).Close())
	db := openRaw(t, path)
	before := schemaOf(t, db)
	later := present(t)
	later["90002_half.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE half (n INTEGER);\nDROP TABLE invites;\nSELECT * FROM nowhere;\n")}
	if err := migrateTo(t.Context(), db, later); err == nil {
		t.Fatal("the migration went through")
	}
	if after := schemaOf(t, db); !slices.Equal(before, after) {
		t.Errorf("the database was changed: %q", after)
	}
	later["90002_half.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE half (n INTEGER);\n")}
	must(t, migrateTo(t.Context(), db, later))
	if _, err := Open(t.Context(), path, storage.DefaultLimits()); !errors.Is(err, storage.ErrSchemaNewer) {
		t.Errorf("the program before: got %v, want ErrSchemaNewer", err)
	}
}

// schemaOf gives the tables and indexes, and the versions that were applied.
func schemaOf(t *testing.T, db *sql.DB) []string {
	t.Helper()
	rows, err := db.Query(`SELECT coalesce(sql, name) FROM sqlite_schema UNION ALL SELECT 'version ' || version_id FROM goose_db_version`)
	must(t, err)
	var all []string
	must(t, eachRow(rows, func(rows *sql.Rows) error {
		var text string
		err := rows.Scan(&text)
		all = append(all, text)
		return err
	}))
	if len(all) < 20 {
		t.Fatalf("only %q", all)
	}
	return all
}

func TestOpenRefusesNewerSchema(t *testing.T) {
	path := newPath(t)
	must(t, openAt(t, path, storage.DefaultLimits()).Close())
	db, err := sql.Open("sqlite", dataSource(path))
	must(t, err)
	_, err = db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
	must(t, errors.Join(err, db.Close()))
	before, err := os.ReadFile(path)
	must(t, err)
	if _, err := Open(t.Context(), path, storage.DefaultLimits()); !errors.Is(err, storage.ErrSchemaNewer) {
		t.Fatalf("got %v, want ErrSchemaNewer", err)
	}
	after, err := os.ReadFile(path)
	must(t, err)
	if string(before) != string(after) {
		t.Error("the database was changed")
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
