package server

import (
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"quicprochat/core/wire"
	"quicprochat/server/storage"
	"quicprochat/server/storage/postgres/postgrestest"
)

// The catalogue is the measure of what the chat must do.
func TestLongChatMakesEveryCall(t *testing.T) {
	f := start(t, forLongChat)
	calls := recordCalls(t)
	runLongChat(t, f)
	for _, m := range wire.Methods() {
		_, made := calls.Load(m.Name)
		if _, left := uncalled[string(m.Name)]; made == left {
			t.Errorf("%s: called %v, left out on purpose %v: extend runLongChat", m.Name, made, left)
		}
	}
}

// A log at its most talkative and the files of a server that was not shut down
// tell nothing of what is hidden, and the database the rest in its place only.
func TestNothingHiddenIsFound(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		f := start(t, forLongChat)
		l := runLongChat(t, f)
		stolen := t.TempDir()
		if err := os.CopyFS(stolen, os.DirFS(f.cfg.DataDir)); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(stolen, "server.db-wal")); err != nil {
			t.Fatal(err)
		}
		l.scanLog(t)
		l.scanFiles(t, stolen, true)
		db, err := sql.Open("sqlite", filepath.Join(stolen, "server.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		l.scanColumns(t, db, `SELECT name FROM sqlite_master WHERE type = 'table'`)
		f.shutdown()
		l.scanLog(t)
		l.scanFiles(t, f.cfg.DataDir, false)
	})
	t.Run("postgres", func(t *testing.T) {
		cluster := postgrestest.Own(t)
		u, err := cluster.NewDatabase(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f := &fixture{t: t, cfg: testConfig(t), clock: &clock{}, logs: &logBuffer{}}
		forLongChat(&f.cfg)
		f.cfg.Store.URL = storage.URL(u)
		f.open()
		t.Cleanup(f.shutdown)
		l := runLongChat(t, f)
		l.scanLog(t)
		db, err := sql.Open("pgx", u)
		if err != nil {
			t.Fatal(err)
		}
		l.scanColumns(t, db, `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()`)
		if _, err := db.Exec(`CHECKPOINT`); err != nil {
			t.Fatal(err)
		}
		db.Close()
		l.scanFiles(t, cluster.Data(), true)
	})
}

func (l *long) scanLog(t *testing.T) {
	t.Helper()
	log := l.f.logs.Bytes()
	if !strings.Contains(string(log), "server started") {
		t.Fatal("there is no log to look at")
	}
	newFinder(l.hidden).find(log, func(n needle) { t.Errorf("the log has %s", n.hidden.what) })
}

// scanFiles looks at every file below dir as it is. What is in a column shows
// there in its raw bytes, and in the files of a database that is live also
// what was deleted.
func (l *long) scanFiles(t *testing.T, dir string, live bool) {
	t.Helper()
	f := newFinder(l.hidden)
	files, raw := 0, 0
	deleted := make(map[string]bool)
	for _, h := range l.hidden {
		if h.deleted && live {
			deleted[h.what] = false
		}
	}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil // the database has just deleted it
		}
		files++
		f.find(content, func(n needle) {
			if n.raw && (len(n.hidden.columns) > 0 || live && n.hidden.deleted) {
				raw++
				if n.hidden.deleted {
					deleted[n.hidden.what] = true
				}
				return
			}
			t.Errorf("a file %s has %s", filepath.Base(path), n.hidden.what)
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 5 || raw == 0 {
		t.Errorf("the scan read %d files and found %d ids where they belong", files, raw)
	}
	for what, found := range deleted {
		if !found {
			t.Errorf("the scan does not find %s, which was just deleted", what)
		}
	}
}

// scanColumns looks at every value of every table. What may be in a column is
// there, of one person or another.
func (l *long) scanColumns(t *testing.T, db *sql.DB, tables string) {
	t.Helper()
	f := newFinder(l.hidden)
	found := make(map[string]bool)
	for _, table := range queryStrings(t, db, tables) {
		rows, err := db.Query("SELECT * FROM " + table)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values, targets := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
			for i := range values {
				targets[i] = &values[i]
			}
			if err := rows.Scan(targets...); err != nil {
				t.Fatal(err)
			}
			for i, value := range values {
				f.find(value, func(n needle) {
					at := table + "." + columns[i]
					if n.raw && slices.Contains(n.hidden.columns, at) {
						found[n.hidden.what+" in "+at] = true
						return
					}
					t.Errorf("%s has %s", at, n.hidden.what)
				})
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		rows.Close()
	}
	for _, h := range l.hidden {
		for _, column := range h.columns {
			if !found[h.what+" in "+column] {
				t.Errorf("the scan does not find %s in %s, where it belongs", h.what, column)
			}
		}
	}
}

func queryStrings(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}
