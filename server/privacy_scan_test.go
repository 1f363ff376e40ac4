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
	"quicprochat/server/secrets"
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
		l.wantDeleted(t, l.scanFiles(t, stolen, secrets.DatabaseName, true))
		db, err := sql.Open("sqlite", filepath.Join(stolen, "server.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		l.scanColumns(t, db, `SELECT name FROM sqlite_master WHERE type = 'table'`)
		f.shutdown()
		l.scanLog(t)
		l.scanFiles(t, f.cfg.DataDir, secrets.DatabaseName, false)
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
		l.scanDatabaseLog(t, filepath.Join(filepath.Dir(cluster.Data()), "log"))
		db, err := sql.Open("pgx", u)
		if err != nil {
			t.Fatal(err)
		}
		l.scanColumns(t, db, `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()`)
		if _, err := db.Exec(`CHECKPOINT`); err != nil {
			t.Fatal(err)
		}
		db.Close()
		l.scanFiles(t, cluster.Data(), "", true)
		l.scanFolder(t, f.cfg.DataDir, func(*hidden, string) bool { return false })
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

// scanDatabaseLog looks at what PostgreSQL has logged: of a statement that fails,
// it writes down which value was to blame.
func (l *long) scanDatabaseLog(t *testing.T, path string) {
	t.Helper()
	log, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), "ready to accept connections") {
		t.Fatal("there is no log of the database to look at")
	}
	newFinder(l.hidden).find(log, func(n needle) { t.Errorf("the database's log has %s", n.hidden.what) })
}

// scanFiles looks at a database's files and those beside them. What is in a
// column shows in its raw bytes in files whose names begin with database, and
// where that is live also what was deleted. The result is what it has found there.
func (l *long) scanFiles(t *testing.T, dir, database string, live bool) map[*hidden]bool {
	t.Helper()
	found := l.scanFolder(t, dir, func(h *hidden, file string) bool {
		return strings.HasPrefix(file, database) && (len(h.columns) > 0 || live && h.deleted)
	})
	if len(found) == 0 {
		t.Error("the scan finds no ids where they belong")
	}
	return found
}

// scanFolder looks at every file below dir as it is. It returns what may be in a
// file and is, in its raw bytes.
func (l *long) scanFolder(t *testing.T, dir string, may func(h *hidden, file string) bool) map[*hidden]bool {
	t.Helper()
	f, files, found := newFinder(l.hidden), 0, make(map[*hidden]bool)
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
			if n.raw && may(n.hidden, entry.Name()) {
				found[n.hidden] = true
				return
			}
			t.Errorf("a file %s has %s", entry.Name(), n.hidden.what)
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 3 {
		t.Errorf("the scan read %d files", files)
	}
	return found
}

// wantDeleted makes sure that a search which later finds nothing could have.
// SQLite's log has whole pages, so that nothing in it is cut in two.
func (l *long) wantDeleted(t *testing.T, found map[*hidden]bool) {
	t.Helper()
	for _, h := range l.hidden {
		if h.deleted && !found[h] {
			t.Errorf("the scan does not find %s, which was just deleted", h.what)
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
