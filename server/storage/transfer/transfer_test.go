package transfer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
	"quicprochat/server/storage/postgres"
	"quicprochat/server/storage/postgres/postgrestest"
	"quicprochat/server/storage/sqlite"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func quiet(Progress) {}

var keyHash = make([]byte, 32)

// newFile makes a database file with tables and no rows.
func newFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "server.db")
	s, err := sqlite.Open(t.Context(), path, storage.DefaultLimits())
	must(t, err)
	must(t, s.Close())
	return path
}

func newURL(t testing.TB) storage.URL {
	t.Helper()
	url, err := postgrestest.Shared(t).NewDatabase(t.Context())
	must(t, err)
	return storage.URL(url)
}

// fill puts rows into every table that there is: all numbers of row i are i,
// all other values i's digit repeated, so that references hold, whatever
// tables are added. The last row of a table has NULL where it may.
func fill(t testing.TB, path string, n int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	must(t, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	exec(`BEGIN`)
	for _, name := range tablesOf(t, db) {
		if fillOne(t, db, name) {
			continue
		}
		for i := 1; i <= n; i++ {
			columns, values := rowOf(t, db, name, i, i == n)
			marks := strings.TrimSuffix(strings.Repeat("?,", len(columns)), ",")
			exec(`INSERT INTO `+name+` (`+strings.Join(columns, ",")+`) VALUES (`+marks+`)`, values...)
		}
	}
	exec(`COMMIT`)
	exec(`UPDATE channels SET addresses = (SELECT count(*) FROM channel_addresses WHERE channel = number)`)
	exec(`UPDATE sqlite_sequence SET seq = 5000 WHERE name = 'channels'`) // later ones were deleted
	exec(`INSERT INTO blob_quotas (quota, day, used) VALUES (x'', ?, ?)`, int64(1)<<62, int64(-1))
}

// fillOne changes the row that a new database has in a table.
func fillOne(t testing.TB, db *sql.DB, name string) bool {
	t.Helper()
	var filled bool
	must(t, db.QueryRowContext(t.Context(), `SELECT EXISTS (SELECT 1 FROM `+name+`)`).Scan(&filled))
	if !filled {
		return false
	}
	columns, _ := rowOf(t, db, name, 1, false)
	for _, column := range columns {
		if column != "one" {
			_, err := db.ExecContext(t.Context(), `UPDATE `+name+` SET `+column+` = 77`)
			must(t, err)
		}
	}
	return true
}

func tablesOf(t testing.TB, db *sql.DB) (names []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'goose_db_version'`)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var name string
		must(t, rows.Scan(&name))
		names = append(names, name)
	}
	must(t, rows.Err())
	return names
}

func rowOf(t testing.TB, db *sql.DB, table string, i int, null bool) (columns []string, values []any) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT name, type, "notnull", pk FROM pragma_table_info(?)`, table)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var name, kind string
		var notNull, key int
		must(t, rows.Scan(&name, &kind, &notNull, &key))
		columns = append(columns, name)
		switch {
		case null && notNull == 0 && key == 0:
			values = append(values, nil)
		case name == "position":
			values = append(values, int64(i)<<32|int64(i))
		case name == "stored" || name == "overflowed": // truth values in PostgreSQL
			values = append(values, i%2)
		case kind == "INTEGER":
			values = append(values, i)
		case kind == "BLOB":
			values = append(values, fmt.Appendf(nil, "%016d%016d", i, i))
		default:
			values = append(values, fmt.Sprintf("%04d", i))
		}
	}
	must(t, rows.Err())
	return columns, values
}

// contents gives a digest for each table of a file, and the counters.
func contents(t testing.TB, path string) (map[string]digest, map[string]int64) {
	t.Helper()
	db, err := sqlite.OpenReadOnly(path)
	must(t, err)
	defer db.Close()
	conn, err := db.Conn(t.Context())
	must(t, err)
	defer conn.Close()
	end := sqliteEnd{conn}
	s, err := end.schema(t.Context())
	must(t, err)
	all := make(map[string]digest)
	for _, table := range s.order() {
		all[table.name], err = digestOf(t.Context(), end, table)
		must(t, err)
	}
	counters, err := end.counters(t.Context())
	must(t, err)
	return all, counters
}

// TestEveryTableIsCarried fails where a migration has added a table or a column
// to one of the databases only, or one whose name means two things.
func TestEveryTableIsCarried(t *testing.T) {
	path, url := newFile(t), newURL(t)
	fill(t, path, 40)
	var seen []Progress
	must(t, ToPostgres(t.Context(), path, url, keyHash, func(p Progress) { seen = append(seen, p) }))
	db, err := sqlite.OpenReadOnly(path)
	must(t, err)
	defer db.Close()
	tables := tablesOf(t, db)
	if len(seen) != len(tables) || len(tables) < 15 {
		t.Errorf("%d tables, carried %d", len(tables), len(seen))
	}
	for _, p := range seen {
		if !slices.Contains(tables, p.Table) || p.Rows < 40 && p.Rows != 1 {
			t.Errorf("%s: %d rows", p.Table, p.Rows)
		}
	}

	back := filepath.Join(t.TempDir(), "back.db")
	must(t, ToSQLite(t.Context(), url, back, Options{KeyHash: keyHash, Offline: true}, quiet))
	want, wantCounters := contents(t, path)
	got, gotCounters := contents(t, back)
	for name, d := range want {
		if got[name] != d {
			t.Errorf("%s came back different", name)
		}
	}
	if len(got) != len(want) || len(gotCounters) != len(wantCounters) || gotCounters["channels"] != 5000 {
		t.Errorf("counters %v came back as %v", wantCounters, gotCounters)
	}
	must(t, sqlite.Check(t.Context(), back))
	info, err := os.Stat(back)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	reopen(t, back, url)
}

// reopen lets the stores work on what was moved: numbers go on.
func reopen(t *testing.T, path string, url storage.URL) {
	t.Helper()
	file, err := sqlite.Open(t.Context(), path, storage.DefaultLimits())
	must(t, err)
	defer file.Close()
	shared, err := postgres.Open(t.Context(), postgres.Options{URL: url, Limits: storage.DefaultLimits(), KeyHash: keyHash})
	must(t, err)
	defer shared.Close()
	_, err = postgres.Open(t.Context(), postgres.Options{URL: url, Limits: storage.DefaultLimits(), KeyHash: []byte("other")})
	wantErr(t, err, postgres.ErrOtherKeys)
	for _, s := range []storage.Store{file, shared} {
		must(t, s.CreateChannel(t.Context(), storage.NewChannel{ID: storage.ChannelID{9}, VerifyKey: []byte("k")}))
		_, err := s.CreateAccount(t.Context(), storage.NewAccount{ID: [16]byte{9}, Name: "new", DeviceID: [16]byte{9}})
		must(t, err)
		must(t, s.Ping(t.Context()))
	}
}

func TestToPostgresRefuses(t *testing.T) {
	path, url := newFile(t), newURL(t)
	fill(t, path, 3)
	must(t, ToPostgres(t.Context(), path, url, keyHash, quiet))
	wantErr(t, ToPostgres(t.Context(), path, url, keyHash, quiet), ErrNotEmpty)

	other := newURL(t)
	s, err := sqlite.Open(t.Context(), path, storage.DefaultLimits())
	must(t, err)
	wantErr(t, ToPostgres(t.Context(), path, other, keyHash, quiet), sqlite.ErrInUse)
	must(t, s.Close())

	running, err := postgres.Open(t.Context(), postgres.Options{URL: other, Limits: storage.DefaultLimits()})
	must(t, err)
	must(t, running.Ping(t.Context()))
	wantErr(t, ToPostgres(t.Context(), path, other, keyHash, quiet), postgres.ErrInUse)
	wantErr(t, ToSQLite(t.Context(), other, filepath.Join(t.TempDir(), "x.db"), Options{Offline: true}, quiet), postgres.ErrInUse)
	must(t, running.Close())
	if err := ToPostgres(t.Context(), filepath.Join(t.TempDir(), "none.db"), other, keyHash, quiet); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	must(t, ToPostgres(t.Context(), path, other, keyHash, quiet))
}

// A transfer that breaks off in the middle leaves nothing.
func TestToPostgresBreaksOff(t *testing.T) {
	path, url := newFile(t), newURL(t)
	fill(t, path, 3)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := ToPostgres(ctx, path, url, keyHash, func(p Progress) {
		if p.Table == "devices" {
			cancel()
		}
	})
	wantErr(t, err, context.Canceled)
	must(t, ToPostgres(t.Context(), path, url, keyHash, quiet)) // it is empty

	back := filepath.Join(t.TempDir(), "back.db")
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	wantErr(t, ToSQLite(ctx, url, back, Options{}, func(Progress) { cancel() }), context.Canceled)
	if left, err := os.ReadDir(filepath.Dir(back)); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	must(t, os.WriteFile(back, []byte("mine"), 0o600))
	wantErr(t, ToSQLite(t.Context(), url, back, Options{}, quiet), os.ErrExist)
	if kept, err := os.ReadFile(back); err != nil || string(kept) != "mine" {
		t.Error("a file that was there is not what it was")
	}
}

// A copy is what the database was at one moment, while others change it.
func TestToSQLiteOnline(t *testing.T) {
	path, url := newFile(t), newURL(t)
	fill(t, path, 3)
	must(t, ToPostgres(t.Context(), path, url, keyHash, quiet))
	live, err := postgres.Open(t.Context(), postgres.Options{URL: url, Limits: storage.DefaultLimits()})
	must(t, err)
	defer live.Close()
	back := filepath.Join(t.TempDir(), "back.db")
	created := false
	must(t, ToSQLite(t.Context(), url, back, Options{}, func(Progress) {
		if !created { // between two tables
			created = true
			_, err := live.CreateAccount(t.Context(), storage.NewAccount{ID: [16]byte{9}, Name: "new", DeviceID: [16]byte{9}})
			must(t, err)
		}
	}))
	want, _ := contents(t, path)
	got, _ := contents(t, back)
	for name, d := range want {
		if got[name] != d {
			t.Errorf("%s is from another moment", name)
		}
	}
	wantErr(t, ToSQLite(t.Context(), url, back+"2", Options{KeyHash: []byte("other")}, quiet), postgres.ErrOtherKeys)
}

// Schemas that do not match are told by name, and what was written badly is
// found.
func TestDifferences(t *testing.T) {
	path, url := newFile(t), newURL(t)
	fill(t, path, 3)
	must(t, makeTables(t.Context(), url))
	admin, err := pgx.Connect(t.Context(), url.Reveal())
	must(t, err)
	defer admin.Close(t.Context())
	exec := func(query string) {
		t.Helper()
		_, err := admin.Exec(t.Context(), query)
		must(t, err)
	}
	exec(`ALTER TABLE invites ADD COLUMN extra bigint; CREATE TABLE more (a bigint)`)
	err = ToPostgres(t.Context(), path, url, keyHash, quiet)
	wantErr(t, err, ErrSchemas)
	if !strings.Contains(err.Error(), "invites.extra, more") {
		t.Errorf("got %v", err)
	}
	exec(`ALTER TABLE invites DROP COLUMN extra; DROP TABLE more`)
	exec(`CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name = NEW.name || '!'; RETURN NEW; END $$;
		CREATE TRIGGER spoil BEFORE INSERT ON accounts FOR EACH ROW EXECUTE FUNCTION spoil()`)
	wantErr(t, ToPostgres(t.Context(), path, url, keyHash, quiet), ErrDiffers)
	exec(`DROP TRIGGER spoil ON accounts`)
	must(t, ToPostgres(t.Context(), path, url, keyHash, quiet))
}

func TestDigest(t *testing.T) {
	rows := [][]any{{nil}, {int64(0)}, {""}, {[]byte{}}, {"a", "b"}, {"ab", ""}, {[]byte("ab"), ""}, {int64(1), int64(2)}}
	var forth, back digest
	seen := make(map[digest]bool)
	for i := range rows {
		var one digest
		must(t, errors.Join(one.add(rows[i]), forth.add(rows[i]), back.add(rows[len(rows)-1-i])))
		if seen[one] {
			t.Errorf("%v looks like another row", rows[i])
		}
		seen[one] = true
	}
	if forth != back {
		t.Error("depends on the order")
	}
	if forth.add([]any{1.5}) == nil {
		t.Error("took a value of an unknown type")
	}
}
