package server

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/secrets"
)

// database opens the file of a server that is shut down.
func (f *fixture) database() *sql.DB {
	f.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(f.cfg.DataDir, secrets.DatabaseName))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { db.Close() })
	return db
}

func (f *fixture) damage(statement string) {
	f.t.Helper()
	db := f.database()
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		f.t.Fatal(err)
	}
}

// chat is a conversation with everything in it, and what must not be seen.
type chat struct {
	f            *fixture
	alice, bob   *member
	room         *room
	messages     [][]byte
	items        [][]byte
	queues       [][]byte
	names        []string
	otherSecrets [][]byte
	blobs        []*upload
}

func runChat(t *testing.T, f *fixture) *chat {
	t.Helper()
	c := &chat{f: f, alice: f.register("alice-in-logs"), bob: f.register("bob-in-logs")}
	c.names = []string{c.alice.name, c.bob.name}
	carol := f.register("carol-in-logs")
	c.names = append(c.names, carol.name)
	c.room = newRoom(f, c.alice, c.bob)
	c.alice.subscribe(0)
	for i := range 20 {
		message := fmt.Appendf(nil, "message number %d that nobody else may read", i)
		c.messages = append(c.messages, message)
		c.items = append(c.items, c.room.post(message))
		c.alice.next()
	}
	address := carol.address()
	c.items = append(c.items, c.room.commit(func(b *qpcv1.CommitBody) {
		b.AddAddresses = [][]byte{address}
		b.Welcomes = []*qpcv1.AddressedWelcome{{Address: address, Sealed: []byte("a welcome that nobody else may read")}}
	}))
	c.messages = append(c.messages, []byte("a welcome that nobody else may read"))
	c.room.addresses = append(c.room.addresses, address)
	c.sendFiles()
	// Failures are what logs are full of.
	f.failLogin(c.alice.name)
	_, err := f.tryRegister(c.bob.name, goodPassword, nil)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NAME_TAKEN)
	_, err = call[qpcv1.PostResponse](c.room.anon, c.room.postRequest(c.room.postBody([]byte("x")), c.room.keys[0]))
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_BAD_SIGNATURE)
	for _, m := range []*member{c.alice, c.bob, carol} {
		stored, err := f.store.Device(t.Context(), m.person.id, m.id)
		if err != nil {
			t.Fatal(err)
		}
		c.queues = append(c.queues, stored.Queue[:])
		c.otherSecrets = append(c.otherSecrets, m.person.id[:], m.id[:])
	}
	return c
}

// sendFiles uploads, downloads and deletes, and fails at it too.
func (c *chat) sendFiles() {
	c.f.t.Helper()
	kept, deleted, begun := newUpload(1500), newUpload(10).run(c.alice.conn), newUpload(20)
	kept.run(c.alice.conn).wantDownload(c.room.anon)
	must[qpcv1.DeleteBlobResponse](c.room.anon, &qpcv1.DeleteBlobRequest{UploadSecret: deleted.secret})
	deleted.wantUnknown(c.room.anon)
	begun.create(c.bob.conn)
	_, err := call[qpcv1.FinishUploadResponse](c.bob.conn, begun.finishRequest())
	wantCode(c.f.t, err, qpcv1.ErrorCode_ERROR_CODE_BLOB_INCOMPLETE)
	begun.send(c.bob.conn, 0)
	c.blobs = []*upload{kept, deleted, begun}
}

// spellings are the ways in which an id could show up in text.
func spellings(id []byte) [][]byte {
	return [][]byte{
		id,
		[]byte(hex.EncodeToString(id)),
		[]byte(fmt.Sprintf("%X", id)),
		[]byte(base64.StdEncoding.EncodeToString(id)),
		[]byte(base64.RawURLEncoding.EncodeToString(id)),
		[]byte(fmt.Sprint(id)),
		[]byte(fmt.Sprintf("%q", id)),
	}
}

func TestLogsNameNobody(t *testing.T) {
	f := start(t)
	c := runChat(t, f)
	f.restart()
	logs := f.logs.Bytes()
	if !bytes.Contains(logs, []byte("server stopped")) {
		t.Fatal("there is no log to look at")
	}
	for _, name := range c.names {
		if bytes.Contains(logs, []byte(name)) {
			t.Errorf("the log has the name %s", name)
		}
	}
	ids := [][]byte{c.room.id}
	for _, more := range [][][]byte{c.queues, c.items, c.otherSecrets, c.room.addresses} {
		ids = append(ids, more...)
	}
	for _, u := range c.blobs {
		name := u.name()
		ids = append(ids, u.secret, u.id, name[:])
	}
	for _, id := range ids {
		for _, spelling := range spellings(id) {
			if bytes.Contains(logs, spelling) {
				t.Errorf("the log has %s", spelling)
			}
		}
	}
}

// The database is looked at as a thief would: row by row, for what links a
// queue to a channel, and as raw bytes for what was said.
func TestDatabaseLinksNoQueueToAChannel(t *testing.T) {
	f := start(t)
	c := runChat(t, f)
	f.shutdown()
	raw, err := os.ReadFile(filepath.Join(f.cfg.DataDir, secrets.DatabaseName))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(raw, c.room.id) || !bytes.Contains(raw, c.queues[0]) {
		t.Fatal("the scan finds not even what is there")
	}
	for _, message := range c.messages {
		if bytes.Contains(raw, message) {
			t.Errorf("the database has %q", message)
		}
	}
	scanRows(t, f.database(), func(table string, row []byte) {
		channel := bytes.Contains(row, c.room.id)
		for _, more := range [][][]byte{c.items, c.room.addresses} {
			for _, id := range more {
				channel = channel || bytes.Contains(row, id)
			}
		}
		for _, queue := range c.queues {
			if channel && bytes.Contains(row, queue) {
				t.Errorf("a row of %s has a queue and a channel", table)
			}
		}
		if channel && table == "queue_items" {
			t.Error("an item in a queue shows its channel or item id")
		}
	})
	f.open() // for the clean-up
}

// A thief of the data folder learns which blobs there are, and neither who
// uploaded one nor how to download or delete it.
func TestDataFolderGivesNoBlobAway(t *testing.T) {
	f := start(t)
	c := runChat(t, f)
	f.clearBlobs(t.Context())
	f.shutdown()
	db := f.database()
	seen := 0
	scanRows(t, db, func(table string, row []byte) {
		for _, u := range c.blobs {
			name := u.name()
			if bytes.Contains(row, name[:]) {
				seen++
				for _, other := range append(c.queues, c.otherSecrets...) {
					if bytes.Contains(row, other) {
						t.Errorf("a row of %s has a blob and who uploaded it", table)
					}
				}
			}
			for _, secret := range [][]byte{u.secret, u.id} {
				if bytes.Contains(row, secret) {
					t.Errorf("a row of %s gives a blob away", table)
				}
			}
		}
		for _, id := range c.otherSecrets {
			if table == "blob_quotas" && bytes.Contains(row, id) {
				t.Error("a quota tells whose it is")
			}
		}
	})
	if seen < 6 { // a row for each blob and each chunk
		t.Errorf("the scan finds %d rows of blobs", seen)
	}
	db.Close()
	files := f.blobFiles()
	if len(files) != 2 {
		t.Errorf("%d files", len(files))
	}
	haystack := []byte(strings.Join(files, "\n"))
	for _, name := range []string{secrets.DatabaseName, secrets.DatabaseName + "-wal"} {
		raw, err := os.ReadFile(filepath.Join(f.cfg.DataDir, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		haystack = append(haystack, raw...)
	}
	for _, u := range c.blobs {
		for _, secret := range [][]byte{u.secret, u.id} {
			for _, spelling := range spellings(secret) {
				if bytes.Contains(haystack, spelling) {
					t.Error("the data folder gives a blob away")
				}
			}
		}
	}
	f.open() // for the clean-up
}

// scanRows calls visit for every row of every table, its columns strung together.
func scanRows(t *testing.T, db *sql.DB, visit func(table string, row []byte)) {
	t.Helper()
	var tables []string
	rows, err := db.Query(`SELECT name FROM sqlite_master WHERE type = 'table'`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	rows.Close()
	visited := 0
	for _, table := range tables {
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
			var row []byte
			for _, v := range values {
				row = append(append(row, v...), 0)
			}
			visited++
			visit(table, row)
		}
		rows.Close()
	}
	if visited < 20 {
		t.Fatalf("only %d rows", visited)
	}
}
