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
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
	"quicprochat/server/storage/postgres/postgrestest"
)

// Where a server may keep what it must know. Everything else that a person
// uses is nowhere, and nothing is anywhere else, in no spelling.
var (
	nameColumns    = []string{"accounts.name"}
	accountColumns = []string{
		"accounts.id", "devices.account", "revoked_devices.account",
		// credentials that others check
		"devices.certificate", "key_packages.data", "last_resort_key_packages.data",
	}
	accountKeyColumns = []string{"accounts.public_key", "devices.certificate", "key_packages.data", "last_resort_key_packages.data", "hybrid_keys.key"}
	deviceColumns     = []string{"devices.id", "revoked_devices.id"}
	queueColumns      = []string{"queues.id"}
	channelColumns    = []string{"channels.id"}
	itemColumns       = []string{"channel_items.item", "channel_winners.item"}
	addressColumns    = []string{"channel_addresses.address", "key_packages.data", "last_resort_key_packages.data"}
	blobColumns       = []string{"blobs.name", "blob_chunks.blob"}
)

// uncalled are the methods that the chat leaves out, with the reason.
var uncalled = map[string]string{}

// long is a chat in which every call of the catalogue is made.
type long struct {
	*chat
	hidden []*hidden
}

// runLongChat does everything that a server offers. Whoever adds a method adds
// it here, and what it leaves behind to the lists above.
func runLongChat(t *testing.T, f *fixture) *long {
	t.Helper()
	l := &long{chat: runChat(t, f)}
	dave := f.register("dave-in-logs")
	laptop := f.newDevice(dave.person)
	laptop.conn = f.dial()
	if _, err := f.tryLogin(laptop.conn, dave.name, dave.password); err != nil {
		t.Fatal(err)
	}
	must[qpcv1.EnrolDeviceResponse](laptop.conn, &qpcv1.EnrolDeviceRequest{DeviceCertificate: laptop.cert.Raw})
	if err := laptop.authenticate(laptop.conn); err != nil {
		t.Fatal(err)
	}
	laptop.uploadHybrid()
	leaves := [2]*leaf{laptop.leaf(), laptop.leaf()}
	for _, leaf := range leaves {
		must[qpcv1.UploadKeyPackagesResponse](laptop.conn, &qpcv1.UploadKeyPackagesRequest{KeyPackages: [][]byte{leaf.keyPackage(t)}})
		l.hide("an address in a KeyPackage", leaf.state.QueueAddress, addressColumns)
	}
	must[qpcv1.CountKeyPackagesResponse](laptop.conn, &qpcv1.CountKeyPackagesRequest{})
	must[qpcv1.FetchKeyPackageResponse](f.dial(), &qpcv1.FetchKeyPackageRequest{AccountId: dave.person.id[:]})
	must[qpcv1.ListDevicesResponse](laptop.conn, &qpcv1.ListDevicesRequest{})
	must[qpcv1.ResolveUserResponse](l.room.anon, &qpcv1.ResolveUserRequest{Name: dave.name})
	must[qpcv1.ResolveAccountResponse](l.room.anon, &qpcv1.ResolveAccountRequest{AccountId: dave.person.id[:]})
	l.readAndReconnect(dave)
	l.hidePeople(dave, laptop, l.alice, l.bob)
	revoked, err := f.store.Device(t.Context(), dave.person.id, dave.id)
	if err != nil {
		t.Fatal(err)
	}
	l.hideDeleted("a revoked device's queue", revoked.Queue[:])
	l.hideDeleted("a revoked device's certificate", dave.cert.Raw)
	must[qpcv1.RevokeDeviceResponse](laptop.conn, &qpcv1.RevokeDeviceRequest{DeviceId: dave.id[:]})

	gone := newRoom(f, l.alice)
	l.items = append(l.items, gone.post([]byte("a message in a room that is deleted")))
	must[qpcv1.GetChannelResponse](gone.anon, gone.getRequest(0, gone.keys[0]))
	must[qpcv1.DeleteChannelResponse](gone.anon, gone.deleteRequest(0, gone.keys[0]))
	must[qpcv1.HealthResponse](gone.anon, &qpcv1.HealthRequest{})
	must[qpcv1.InfoResponse](gone.anon, &qpcv1.InfoRequest{})
	l.hideDeleted("a deleted channel's id", gone.id)
	l.hideDeleted("a deleted channel's address", gone.addresses[0])
	l.hide("a message", []byte("a message in a room that is deleted"), nil)
	l.hideChat()
	return l
}

// readAndReconnect reads queues and proves a device again.
func (l *long) readAndReconnect(dave *member) {
	must[qpcv1.FetchResponse](l.bob.conn, &qpcv1.FetchRequest{})
	must[qpcv1.AckResponse](l.bob.conn, &qpcv1.AckRequest{UpToSeq: 3})
	l.f.reconnect(dave)
}

func (l *long) hide(what string, value []byte, columns []string) {
	l.hidden = append(l.hidden, &hidden{what: what, value: value, columns: columns})
}

func (l *long) hideDeleted(what string, value []byte) {
	l.hidden = append(l.hidden, &hidden{what: what, value: value, deleted: true})
}

func (l *long) hidePeople(members ...*member) {
	for _, m := range members {
		l.hide("an account's name", []byte(m.name), nameColumns)
		l.hide("an account's id", m.person.id[:], accountColumns)
		l.hide("an account's key", m.key.Public(), accountKeyColumns)
		l.hide("a device's id", m.id[:], deviceColumns)
	}
}

func (l *long) hideChat() {
	for _, queue := range l.queues {
		l.hide("a queue's id", queue, queueColumns)
	}
	l.hide("a channel's id", l.room.id, channelColumns)
	for _, item := range l.items {
		l.hide("an item's id", item, itemColumns)
	}
	for _, address := range l.room.addresses {
		l.hide("an address", address, addressColumns)
	}
	for _, message := range l.messages {
		l.hide("a message", message, nil)
	}
	for _, u := range l.blobs {
		name := u.name()
		l.hide("a blob's secret", u.secret, nil)
		l.hide("a blob's id", u.id, nil)
		l.hide("a blob's name", name[:], blobColumns)
	}
}

// The catalogue is the measure of what the chat must do.
func TestLongChatMakesEveryCall(t *testing.T) {
	f := start(t)
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
		f := start(t)
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
		l.scanFiles(t, f.cfg.DataDir, false)
	})
	t.Run("postgres", func(t *testing.T) {
		cluster := postgrestest.Own(t)
		u, err := cluster.NewDatabase(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f := &fixture{t: t, cfg: testConfig(t), clock: &clock{}, logs: &logBuffer{}}
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
}

// scanColumns looks at every value of every table.
func (l *long) scanColumns(t *testing.T, db *sql.DB, tables string) {
	t.Helper()
	f := newFinder(l.hidden)
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
						n.hidden.found = true
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
	kinds := make(map[string]bool)
	for _, h := range l.hidden {
		if len(h.columns) > 0 {
			kinds[h.what] = kinds[h.what] || h.found
		}
	}
	for what, found := range kinds {
		if !found {
			t.Errorf("the scan does not find %s where it belongs", what)
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
