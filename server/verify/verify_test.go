package verify_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"quicprochat/server/blob"
	"quicprochat/server/check"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
	"quicprochat/server/storage/sqlite"
	"quicprochat/server/verify"
	"quicprochat/server/verify/verifytest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func subjectOf(t testing.TB, dir string) verify.Subject {
	t.Helper()
	keys, err := secrets.Load(dir)
	must(t, err)
	return verify.Subject{
		Database: filepath.Join(dir, secrets.DatabaseName), Sealer: verifytest.Sealer(keys),
		Objects: blob.ReadFolder(filepath.Join(dir, blob.FolderName)), Contents: true,
	}
}

// findings gives what is not in order.
func findings(ctx context.Context, s verify.Subject) (all []string) {
	for f := range verify.Run(ctx, s) {
		if f.Grade != check.OK {
			all = append(all, string(f.Grade)+" "+f.Text)
		}
	}
	return all
}

func TestSoundFolder(t *testing.T) {
	dir := verifytest.Folder(t)
	if found := findings(t.Context(), subjectOf(t, dir)); len(found) > 0 {
		t.Errorf("found %q", found)
	}
	said := 0
	for f := range verify.Run(t.Context(), subjectOf(t, dir)) {
		said++
		if f.Text == "" || strings.Contains(f.Text, "person") {
			t.Errorf("says %q", f.Text)
		}
	}
	if said < 8 {
		t.Errorf("looked at %d things only", said)
	}
	for range verify.Run(t.Context(), subjectOf(t, dir)) {
		break // may stop listening
	}
}

// Every promise that is broken is found, and nothing else is said to be wrong.
func TestBrokenPromises(t *testing.T) {
	for name, c := range map[string]struct{ change, want string }{
		"item lost":         {`DELETE FROM queue_items WHERE position = (SELECT max(position) FROM queue_items WHERE sealed IS NOT NULL AND position >> 32 = 1)`, "counts its items wrongly"},
		"hole":              {`UPDATE queue_items SET position = position - 1 WHERE position = (SELECT min(position) FROM queue_items)`, "positions have a gap"},
		"last seq":          {`UPDATE queues SET last_seq = last_seq + 1 WHERE items > 0`, "positions have a gap"},
		"items":             {`UPDATE queues SET items = items + 1 WHERE number = 2`, "1 × a queue that counts its items wrongly"},
		"bytes":             {`UPDATE queues SET bytes = bytes + 1`, "counts its bytes wrongly"},
		"mark":              {`UPDATE queues SET overflowed = 1 - overflowed`, "wrong about whether items were lost"},
		"age":               {`UPDATE queues SET oldest_day = oldest_day + 86400000`, "item older than it says"},
		"foreign item":      {`UPDATE queue_items SET position = position + (5000 << 32)`, "item of a queue that is not there"},
		"damaged item":      {`UPDATE queue_items SET sealed = zeroblob(length(sealed)) WHERE position = (SELECT min(position) FROM queue_items)`, "1 × an item that does not open"},
		"moved items":       {`UPDATE queues SET id = randomblob(16)`, "item that does not open"},
		"device":            {`DELETE FROM queues WHERE number = 2`, "device without a queue"},
		"revoked":           {`INSERT INTO revoked_devices (id, account) SELECT id, account FROM devices LIMIT 1`, "revoked and enrolled at once"},
		"reference":         {`PRAGMA foreign_keys = 0; DELETE FROM accounts WHERE name = 'person1'`, "to what is not there"},
		"record":            {`UPDATE accounts SET record = x'00'`, "4 × an OPAQUE record"},
		"invite":            {`UPDATE invites SET uses_left = -1`, "fewer than no uses"},
		"address count":     {`UPDATE channels SET addresses = 99`, "counts its addresses wrongly"},
		"epoch key":         {`DELETE FROM channel_keys WHERE epoch = (SELECT epoch FROM channels)`, "without the verify key of its epoch"},
		"future key":        {`INSERT INTO channel_keys VALUES ((SELECT number FROM channels), 99, x'00')`, "verify key of an epoch that has not begun"},
		"future winner":     {`INSERT INTO channel_winners VALUES ((SELECT number FROM channels), 99, x'00')`, "winner of an epoch that has not ended"},
		"winner gap":        {`DELETE FROM channel_winners WHERE epoch = 4`, "winners have a gap"},
		"posted behind":     {`UPDATE channels SET last_seq = 1`, "behind its channel's last position"},
		"posted twice":      {`UPDATE channel_items SET seq = 1`, "position in a channel that two items have"},
		"addresses":         {`UPDATE channel_addresses SET address = randomblob(72)`, "no queue address opens"},
		"one address":       {`UPDATE channel_addresses SET address = randomblob(72) WHERE address = (SELECT min(address) FROM channel_addresses)`, "warn 1 of 4 queue addresses"},
		"blob hash":         {`UPDATE blobs SET hash = NULL`, "blob without a hash"},
		"blob chunk":        {`DELETE FROM blob_chunks WHERE number = 1`, "blob that lacks chunks"},
		"blob outside":      {`INSERT INTO blob_chunks SELECT name, 77, x'00', 0 FROM blobs WHERE state = 1`, "chunk that its blob has no place for"},
		"blob unknown":      {`DELETE FROM blobs WHERE size = 2500`, "warn 3 files of 2500 bytes in the folder of blobs belong to nothing"},
		"schema newer":      {`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`, "newer qpc-server"},
		"schema older":      {`DELETE FROM goose_db_version WHERE version_id > 1`, "older qpc-server"},
		"something in blob": {`UPDATE blob_chunks SET digest = randomblob(32) WHERE number = 0`, "contents were damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := verifytest.Folder(t)
			db, err := sql.Open("sqlite", filepath.Join(dir, secrets.DatabaseName))
			must(t, err)
			db.SetMaxOpenConns(1)
			result, err := db.ExecContext(t.Context(), c.change)
			must(t, err)
			if n, err := result.RowsAffected(); err != nil || n == 0 {
				t.Fatalf("changed nothing (%v)", err)
			}
			must(t, db.Close())
			found := strings.Join(findings(t.Context(), subjectOf(t, dir)), "\n")
			if !strings.Contains(found, c.want) {
				t.Errorf("found %q, want %q", found, c.want)
			}
		})
	}
}

func TestBrokenFiles(t *testing.T) {
	chunk := blob.Key(storage.BlobName{3}, 1)
	for name, c := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"contents missing": {func(dir string) error { return os.Remove(filepath.Join(dir, "blobs", chunk)) }, "1 × a chunk of a blob whose contents are missing"},
		"contents short":   {func(dir string) error { return os.Truncate(filepath.Join(dir, "blobs", chunk), 10) }, "1 × a chunk of a blob whose contents were damaged"},
		"contents changed": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "blobs", chunk), make([]byte, 1000), 0o600)
		}, "1 × a chunk of a blob whose contents were damaged"},
		"stray": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "blobs", "00", "x"), []byte("xyz"), 0o600)
		}, "1 files of 3 bytes"},
		"database": {func(dir string) error { return os.Remove(filepath.Join(dir, secrets.DatabaseName)) }, "there is no database"},
		"rubbish": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, secrets.DatabaseName), make([]byte, 8192), 0o600)
		}, "WRONG"},
		"page": {func(dir string) error { return overwrite(filepath.Join(dir, secrets.DatabaseName), 4096*9) }, "WRONG"},
		"key":  {func(dir string) error { return overwrite(filepath.Join(dir, secrets.StorageFile), 0) }, "does not open under the key files"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := verifytest.Folder(t)
			must(t, c.spoil(dir))
			found := strings.Join(findings(t.Context(), subjectOf(t, dir)), "\n")
			if !strings.Contains(found, c.want) {
				t.Errorf("found %q, want %q", found, c.want)
			}
		})
	}
}

func overwrite(path string, at int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt([]byte("0123456789abcdef"), at)
	return err
}

// A server that goes on meanwhile is no reason for alarm.
func TestBesideAServer(t *testing.T) {
	dir := verifytest.Folder(t)
	live, err := sqlite.Open(t.Context(), filepath.Join(dir, secrets.DatabaseName), verifytest.Limits())
	must(t, err)
	defer live.Close()
	objects, err := blob.OpenFolder(filepath.Join(dir, blob.FolderName))
	must(t, err)
	began := false
	for f := range verify.Run(t.Context(), subjectOf(t, dir)) {
		if f.Grade != check.OK {
			t.Errorf("%s %s", f.Grade, f.Text)
		}
		if began {
			continue
		}
		began = true
		verifytest.PutBlob(t, live, objects, 9, 1500)
		must(t, live.DeleteBlob(t.Context(), storage.BlobName{3}))
		for i := range 3 {
			must(t, objects.Delete(t.Context(), blob.Key(storage.BlobName{3}, i)))
		}
	}
}
